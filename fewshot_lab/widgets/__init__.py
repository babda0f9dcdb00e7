"""Explorers for the notebooks: drag and see."""

from .attack import AttackExplorer
from .budget import BudgetExplorer
from .embedding import EmbeddingExplorer
from .entities import EntityExplorer
from .episode import EpisodeExplorer
from .geometry import GeometryExplorer
from .labels import LabelExplorer
from .latent import LatentExplorer
from .monitor import GanMonitor
from .policy import PolicyExplorer
from .prompt import PromptExplorer
from .question import predict, recall
from .source import source
from .temperature import TemperatureExplorer
from .text import LabelMarker, TextExplorer

__all__ = [
    "AttackExplorer",
    "BudgetExplorer",
    "EmbeddingExplorer",
    "EntityExplorer",
    "EpisodeExplorer",
    "GanMonitor",
    "GeometryExplorer",
    "LabelExplorer",
    "LabelMarker",
    "LatentExplorer",
    "PolicyExplorer",
    "PromptExplorer",
    "TemperatureExplorer",
    "TextExplorer",
    "predict",
    "recall",
    "source",
]
