"""Tests: unit (no I/O), ssh (a throwaway sshd), lab (real hosts)."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
