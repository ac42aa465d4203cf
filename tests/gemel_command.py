"""What the tests beside PyTorch share: their Python, and the command that they run."""
import os
import shlex
import subprocess
import sys

MISSING = 77  # the exit code that skips a test


def use_peers():
    """Goes on in the Python environment that GEMEL_PEERS names, if it names one."""
    peers = os.environ.pop("GEMEL_PEERS", None)
    if peers:
        python = os.path.join(os.path.abspath(peers), "bin/python")
        os.execv(python, [python, "-B", *sys.argv])


def skip(missing):
    print(f"skipped: {missing}; set GEMEL_PEERS, see bench/README.md")
    sys.exit(MISSING)


def gemel(*words, fails_with=None):
    """Runs GEMEL_COMMAND (tests/support/command.h) and returns what it prints."""
    command = [*shlex.split(os.environ["GEMEL_COMMAND"]), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if fails_with is None and done.returncode != 0 or fails_with is not None and fails_with not in done.stdout:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout
