"""output_test.py PROGRAM OUTPUT: the program exits with 0 and prints exactly that, with \\n for the end of a line."""

import subprocess
import sys

program, expected = sys.argv[1], sys.argv[2].replace("\\n", "\n")
output = subprocess.run([program], check=True, capture_output=True, text=True, timeout=60).stdout
sys.exit(None if output == expected else f"{program} printed {output!r}, not {expected!r}")
