"""Explorers for the notebooks: drag and see."""

from .attack import AttackExplorer
from .embedding import EmbeddingExplorer
from .episode import EpisodeExplorer
from .geometry import GeometryExplorer
from .labels import LabelExplorer
from .latent import LatentExplorer
from .monitor import GanMonitor
from .policy import PolicyExplorer
from .prompt import PromptExplorer
from .question import predict, recall
from .temperature import TemperatureExplorer

__all__ = [
    "AttackExplorer",
    "EmbeddingExplorer",
    "EpisodeExplorer",
    "GanMonitor",
    "GeometryExplorer",
    "LabelExplorer",
    "LatentExplorer",
    "PolicyExplorer",
    "PromptExplorer",
    "TemperatureExplorer",
    "predict",
    "recall",
]
