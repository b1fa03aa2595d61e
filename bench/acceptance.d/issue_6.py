"""Issue E: diagnose, prove, estimate."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from issue_6_estimates import estimates  # noqa: E402
from issue_6_faults import faults  # noqa: E402
from issue_6_proofs import proofs  # noqa: E402

CHECKS = {check.__name__: check for check in (faults, proofs, estimates)}
