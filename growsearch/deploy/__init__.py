"""Deployment: a run's network with its preprocessing, predictions, and exports to other formats."""

from growsearch.deploy.archive import load_network, save_network
from growsearch.deploy.load import load, network_folder
from growsearch.deploy.predict import Prediction, RowPredictions, predict, predict_rows
from growsearch.deploy.preprocessing import Preprocessing, load_preprocessing, preprocessing_of

__all__ = [
    "Prediction",
    "Preprocessing",
    "RowPredictions",
    "load",
    "load_network",
    "load_preprocessing",
    "network_folder",
    "predict",
    "predict_rows",
    "preprocessing_of",
    "save_network",
]
