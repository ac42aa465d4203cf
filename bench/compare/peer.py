"""Programs that are asked for figures, each a process of its own."""
import atexit
import os
import pathlib
import signal
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = SOURCE / "build-bench"
PROGRAMS = BUILD / "bench"
GEMEL = BUILD / "tools/gemel/gemel"

# The Python environment that bench/peers/install.sh fills; without one, the name stays in the paths that are not found.
PEERS = pathlib.Path(os.environ.get("GEMEL_PEERS") or "GEMEL_PEERS-is-not-set").absolute()


class Peer:
    """A program that answers each line with a number. None is answered by a program that cannot run here.

    Between its answers the process is stopped: a thread pool goes on spinning after its work (OpenBLAS's for 26 ms, that of
    AOCL for 200 ms) and would take the next program's processors.
    """
    running = set()

    def __init__(self, command, **environment):
        self.command = [str(word) for word in command]
        self.environment = {**os.environ, **{name: str(value) for name, value in environment.items()}}
        self.process = None
        self.absent = False
        self.reason = None

    def start(self):
        self.process = subprocess.Popen(self.command, env=self.environment, text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.running.add(self.process)

    def ask(self, request):
        if self.absent:
            return None
        if not self.process:
            self.start()
        self.process.send_signal(signal.SIGCONT)
        try:
            print(request, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            self.reason = self.process.stderr.read().strip() or f"ended with {self.process.returncode}"
            self.running.remove(self.process)
            self.absent = True
            return None
        self.process.send_signal(signal.SIGSTOP)
        return float(answer)

    def need(self, request):
        """Like ask(), for a program that must be able to run."""
        answer = self.ask(request)
        if answer is None:
            raise SystemExit(f"{self.command[0]}: {request}: {self.reason}")
        return answer

    def threads_at_work(self):
        """How many threads have had at least half as much processor time as the one that has had most."""
        stats = [path.read_text(encoding="utf-8").rsplit(")", 1)[1].split()
                 for path in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/stat")]
        ticks = [int(fields[11]) + int(fields[12]) for fields in stats]
        return sum(2 * t >= max(ticks) for t in ticks)

    def close(self):
        if self.process and not self.absent:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.close()
            self.process.wait()
            self.running.remove(self.process)
            self.process = None


@atexit.register
def leave_nothing_stopped():
    for process in Peer.running:
        process.kill()


def threads_environment(threads):
    """What tells each library how many threads to use."""
    return {name: threads for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS",
                                       "MKL_NUM_THREADS")}
