"""What runs inside the sandbox, next to hostile code: it imports nothing else of this package."""
