"""Remit authorises every tool call an AI agent makes, one call at a time. Start reading at `remit.flow`."""

__version__ = "0.1.0"
