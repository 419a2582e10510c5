"""Studies that a sweeper of Optuna's keeps in SQLite: a study whose driver died is resumed."""

import warnings
from pathlib import Path

from omegaconf import DictConfig, read_write

from growsearch.run_folder.lease import Busy, Lease

SQLITE = "sqlite:///"

RESULTS = "optimization_results.yaml"
"""What the sweeper writes in the sweep's folder at its end."""


def open_study(sweeper: DictConfig) -> Lease | None:
    """Before the sweep: propose again what a dead driver left, and subtract what is done from the number of trials.

    The same values are the same run, which goes on where it was.

    Args:
        sweeper: its configuration, whose ``n_trials`` is changed.

    Returns:
        this driver's lease on the study; None where another driver works on it too, whose trials are left alone.
    """
    try:
        import optuna
    except ImportError:  # said when the sweeper is made
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=FutureWarning, module="optuna")  # of what the sweeper still uses
    file = Path(str(sweeper.storage).removeprefix(SQLITE))
    file.parent.mkdir(parents=True, exist_ok=True)
    own = Lease(file.parent, f".{file.name}.{sweeper.study_name}")
    try:
        own.take()
    except Busy:
        return None
    known = optuna.get_all_study_names(sweeper.storage) if file.exists() else []
    if sweeper.study_name in known:
        study = optuna.load_study(study_name=sweeper.study_name, storage=sweeper.storage)
        for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            study.enqueue_trial(trial.params)
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        with read_write(sweeper):
            sweeper.n_trials = max(0, sweeper.n_trials - len(done))
            if sweeper.sampler.get("seed") is not None:  # else the first proposals would be those of before
                sweeper.sampler.seed += len(study.trials)
    return own
