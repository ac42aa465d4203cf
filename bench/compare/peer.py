"""Programs that are asked for figures, each a process of its own."""
import atexit
import os
import pathlib
import signal
import subprocess
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = SOURCE / "build-bench"
PROGRAMS = BUILD / "bench"
GEMEL = BUILD / "tools/gemel/gemel"

# The Python environment that bench/peers/install.sh fills; without one, the name stays in the paths that are not found.
PEERS = pathlib.Path(os.environ.get("GEMEL_PEERS") or "GEMEL_PEERS-is-not-set").absolute()


def start(command, environment, **streams):
    """A process that comes first when others want the processors, too, where the system allows that (to root)."""
    process = subprocess.Popen(command, env={**os.environ, **{name: str(value) for name, value in environment.items()}},
                               start_new_session=True, text=True, **streams)
    try:
        os.setpriority(os.PRIO_PROCESS, process.pid, -20)
        # Linux shares processors among sessions before it looks at the processes in each.
        pathlib.Path(f"/proc/{process.pid}/autogroup").write_text("-20", encoding="utf-8")
    except OSError:
        pass
    return process


class Peer:
    """A program that answers each line with a number. None is answered by a program that cannot run here.

    Between its answers the process is stopped: a thread pool goes on spinning after its work (OpenBLAS's for 26 ms, that of
    AOCL for 200 ms) and would take the next program's processors.
    """
    running = set()

    def __init__(self, command, **environment):
        self.command = [str(word) for word in command]
        self.environment = environment
        self.process = self.errors = None
        self.absent = False
        self.reason = None

    def start(self):
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = start(self.command, self.environment, bufsize=1, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=self.errors)
        self.running.add(self.process)

    def give_up(self, reason):
        self.reason, self.absent = reason, True

    def ask(self, request):
        try:
            if not self.process and not self.absent:
                self.start()
        except FileNotFoundError as error:
            self.give_up(error.strerror)
        if self.absent:
            return None
        self.process.send_signal(signal.SIGCONT)
        try:
            print(request, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            self.running.remove(self.process)
            self.errors.seek(0)
            self.give_up((self.errors.read().strip().splitlines() or [f"status {self.process.returncode}"])[-1])
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
            self.errors.close()
            self.process = None


@atexit.register
def leave_nothing_stopped():
    for process in Peer.running:
        process.kill()


def threads_environment(threads):
    """What tells each library how many threads to use."""
    return {name: threads for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS",
                                       "MKL_NUM_THREADS")}


def gemel_info():
    """The lines "key: value" of gemel info."""
    text = subprocess.run([GEMEL, "info"], check=True, capture_output=True, text=True).stdout
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def gemel_peer(program, threads, build=BUILD, arguments=(), **environment):
    """One of ours, of this build or of another."""
    return Peer([build / "bench" / program, *arguments], **threads_environment(threads), **environment)


def torch_peer(script, *arguments, threads):
    """A program of bench/peers on PyTorch."""
    return Peer([PEERS / "bin/python", SOURCE / "bench/peers" / script, *arguments], **threads_environment(threads))


def check_agreement(mine, theirs, request, tolerance=1e-4):
    """Both must do the same work: a fast wrong answer is no answer."""
    one, other = mine.need(request), theirs.ask(request)
    if other is not None and abs(one - other) > tolerance * abs(other):
        raise SystemExit(f"{theirs.command}: {request}: {other:.9g}, ours {one:.9g}")
