"""Cloud Scheduler for one machine, over gRPC and REST, on the clock of ``RETRAIN_CLOCK``."""

from local.servers.scheduler.service import SchedulerServer

__all__ = ["SchedulerServer"]
