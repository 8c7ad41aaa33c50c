"""A logger by its name, as torchrl's ``get_logger`` gives it."""

from __future__ import annotations

from typing import Any

from rlrecipe.loggers.base import Logger


def get_logger(logger_type: str | None, logger_name: str, experiment_name: str, **kwargs: Any) -> Logger | None:
    """A logger of a type: csv, tensorboard, mlflow or wandb.

    Args:
        logger_type: the type; none for an empty one.
        logger_name: the folder that it writes to.
        experiment_name: the experiment's name.
        kwargs: arguments of the type's class, as ``csv_kwargs``, ``tensorboard_kwargs``, ``mlflow_kwargs``,
            ``wandb_kwargs``; those of other types are left alone.

    Raises:
        ValueError: there is no such type.
        TypeError: an argument has another name.
    """
    types = ("csv", "tensorboard", "mlflow", "wandb")
    if unknown := sorted(kwargs.keys() - {f"{each}_kwargs" for each in types}):
        raise TypeError(f"get_logger takes csv_kwargs, tensorboard_kwargs, mlflow_kwargs, wandb_kwargs, got {unknown}")
    if not logger_type:
        return None
    given = dict(kwargs.get(f"{logger_type}_kwargs", {}))
    if logger_type == "csv":
        from rlrecipe.loggers.csv import CSVLogger

        return CSVLogger(experiment_name, logger_name, **given)
    if logger_type == "tensorboard":
        from rlrecipe.loggers.tensorboard import TensorboardLogger

        return TensorboardLogger(experiment_name, logger_name, **given)
    if logger_type == "mlflow":
        from rlrecipe.loggers.mlflow import MLFlowLogger

        return MLFlowLogger(experiment_name, **{"tracking_uri": logger_name, **given})
    if logger_type == "wandb":
        from rlrecipe.loggers.wandb import WandbLogger

        return WandbLogger(experiment_name, **{"save_dir": logger_name, **given})
    raise ValueError(f"no logger is named {logger_type!r}; expected one of {', '.join(types)}")
