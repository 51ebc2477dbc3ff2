"""Publishes the audit-log entries that BigQuery jobs leave, as the log sink does in the cloud."""

from local.servers.audit.watcher import AuditWatcher

__all__ = ["AuditWatcher"]
