"""Issue E: diagnose, prove, estimate."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from issue_6_estimates import estimates  # noqa: E402

CHECKS = {"estimates": estimates}
