"""The lab's modules live beside its command, outside any installed package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "include" / "lab"))
