"""Explorers for the notebooks: drag and see."""

from .attack import AttackExplorer
from .budget import BudgetExplorer
from .context import ContextExplorer
from .embedding import EmbeddingExplorer
from .entities import EntityExplorer
from .episode import EpisodeExplorer
from .flow import FlowExplorer
from .geometry import GeometryExplorer
from .hand import HandExplorer
from .labels import LabelExplorer
from .latent import LatentExplorer
from .marker import LabelMarker, PictureMarker
from .monitor import GanMonitor
from .policy import PolicyExplorer
from .price import PriceExplorer
from .prompt import PromptExplorer
from .question import predict, predicted
from .source import source
from .symmetry import SymmetryExplorer
from .temperature import TemperatureExplorer
from .text import TextExplorer
from .words import WordExplorer

__all__ = [
    "AttackExplorer",
    "BudgetExplorer",
    "ContextExplorer",
    "EmbeddingExplorer",
    "EntityExplorer",
    "EpisodeExplorer",
    "FlowExplorer",
    "GanMonitor",
    "GeometryExplorer",
    "HandExplorer",
    "LabelExplorer",
    "LabelMarker",
    "LatentExplorer",
    "PictureMarker",
    "PolicyExplorer",
    "PriceExplorer",
    "PromptExplorer",
    "SymmetryExplorer",
    "TemperatureExplorer",
    "TextExplorer",
    "WordExplorer",
    "predict",
    "predicted",
    "source",
]
