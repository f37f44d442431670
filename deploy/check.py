"""Check: do long-lived connections between pods survive what is done meanwhile? Needs only Python and kubectl.

check.py IMAGE SECONDS [OPTION...]    check for so long, or while the shell command in $COMMAND runs; OPTIONs are those
                                      of `randstream check`, such as --max-interruption=5s

It makes the namespace randstream-check, with a worker on every node and a Job (on $NODE if that is set) that streams to
them. It shows what that says, leaves its report in build/check, removes all again and exits with the Job's status.
$COMMAND runs here. It may cut off kubectl for two minutes at most: the connections that are checked are the Job's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from signal import SIGTERM, default_int_handler, signal
from threading import Event, Thread
from typing import Any

import cluster
import manifests
import rollout
from cluster import Failed, Object
from troubles import trouble_of

NAMESPACE = "randstream-check"
FOLDER = Path("build/check")
SPEC = "/spec/template/spec"
MARK = "=== "
"""Before the name of a file of the report in the Job's log. See overlays/check/run.py."""
BEGIN = f"{MARK}outside"
"""Every worker is reached: the command may begin. See overlays/check/outside.py."""
TELL_ENDED = "import sys; open('/report/ended', 'w').write(sys.argv[1])"
TELL_END = "import os, signal; os.kill(1, signal.SIGTERM)"
HAS_TERMINAL = os.isatty(0)
PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 120
"""How long kubectl may be cut off."""


def main(arguments: list[str]) -> int:
    """Check; the exit status."""
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    image, seconds, *options = arguments
    command, node = (os.environ.get(name, "").strip() for name in ("COMMAND", "NODE"))
    signal(SIGTERM, default_int_handler)  # as Ctrl-C
    shutil.rmtree(FOLDER, ignore_errors=True)
    cluster.NAMESPACE = NAMESPACE
    try:
        require_shell_knows(command)
        cluster.check()
        if cluster.exists("namespace", NAMESPACE):
            advice = f"if it was left behind, kubectl delete namespace {NAMESPACE}"
            raise Failed(f"The namespace {NAMESPACE} is there: another check runs; {advice}.")
        if node and not cluster.exists("node", node):
            raise Failed(f"There is no node {node}: kubectl get nodes.")
        try:
            options += ["--", "outside", command] if command else [f"--seconds={seconds}"]
            return Check(start(deploy(image, options, node)), command).run()
        finally:
            rollout.clean()
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def require_shell_knows(command: str) -> None:
    """Raises Failed if the shell does not know the command's first word, as far as that is a plain one."""
    word = re.match(r"[\w./+-]+(?=[\s;]|$)", command)
    if word and cluster.run(["sh", "-c", 'command -v "$1"', "sh", word[0]]).returncode:
        raise Failed(f"COMMAND: there is no {word[0]}; give its path, or install it.")


def deploy(image: str, options: list[str], node: str = "") -> str:
    """Have all but the Job, which may be for one node, and wait until the workers are ready; the Job's manifest."""
    # Kubernetes would replace $(NAME).
    added: list[tuple[str, Any]] = [("containers/0/args/-", each.replace("$", "$$")) for each in options]
    if node:
        added += [("nodeSelector", {"kubernetes.io/hostname": node}), ("tolerations", [{"operator": "Exists"}])]
    operations = [{"op": "add", "path": f"{SPEC}/{path}", "value": value} for path, value in added]
    patch = {"target": {"kind": "Job"}, "patch": json.dumps(operations)}
    documents = manifests.render("check", image, patch).split(manifests.BETWEEN)
    [job] = [each for each in documents if "\nkind: Job\n" in each]
    others = manifests.BETWEEN.join(each for each in documents if each is not job)
    manifests.prepare(others)
    print(f"make the namespace {NAMESPACE}: {manifests.apply(others)}", flush=True)
    rollout.wait()
    return job


def start(job: str) -> str:
    """Have the Job too, and wait until its pod runs, or has run; the pod's name."""
    cluster.kubectl("create", "--filename=-", given=job)
    deadline = time.monotonic() + rollout.WAIT_SECONDS
    while True:
        found = cluster.kubectl("get", "pods", "--selector=job-name=check", "--output=json")
        pods: list[Object] = json.loads(found)["items"]
        if pods and pods[0]["status"]["phase"] != "Pending":
            return str(pods[0]["metadata"]["name"])
        why, is_hopeless = (pods and trouble_of(pods[0])) or ("there is none", False)
        if is_hopeless or time.monotonic() > deadline:
            raise Failed(f"The Job's pod cannot start: {why}")
        time.sleep(PAUSE_SECONDS)


class Check:
    """What `pod` checks, and the command meanwhile."""

    def __init__(self, pod: str, command: str) -> None:
        self._pod = pod
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = Thread(target=self._run_command, daemon=True)
        self._is_over = Event()
        self._read = 0
        """Lines of the log that were read."""
        self._files: dict[str, list[str]] = {}
        """The report's files, of which the last is being read."""

    def run(self) -> int:
        """Show it to its end; the exit status. Ctrl-C ends it early, with a report; a second one at once."""
        try:
            try:
                status = self._show()
            except KeyboardInterrupt:
                print("the check is told to end: once more, and it ends without a report", flush=True)
                self._end_command()
                with suppress(Failed):  # it has ended by itself, or kubectl is cut off
                    cluster.kubectl("exec", self._pod, "--", "python", "-c", TELL_END)
                status = self._show()
            self._keep_files()
        except Failed:
            self._wait_for_command()
            raise
        self._wait_for_command()
        return status

    def _show(self) -> int:
        """Print the log as it comes; the exit status."""
        since = time.monotonic()
        while True:
            status = self._find_status()  # before the log is read: so that is whole if there is one
            if self._follow():
                since = time.monotonic()
                if status is not None:
                    return status
            elif time.monotonic() > since + PATIENCE_SECONDS:
                raise Failed(f"The log of the check cannot be read: kubectl --namespace {NAMESPACE} logs {self._pod}")
            time.sleep(PAUSE_SECONDS)

    def _follow(self) -> bool:
        """Read the log to its end, or until kubectl is cut off; whether it was the end."""
        command = ["kubectl", f"--namespace={NAMESPACE}", "logs", "--follow", self._pod]
        # A session of its own: Ctrl-C is not for it.
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        ) as reader:
            assert reader.stdout is not None
            try:
                for number, line in enumerate(reader.stdout):
                    if number == self._read and line.endswith("\n"):
                        self._read += 1
                        self._take(line.rstrip("\n"))
            finally:
                reader.kill()
        return reader.returncode == 0

    def _take(self, line: str) -> None:
        """A line of the log, once."""
        if line == BEGIN:
            self._thread.start()
        elif line.startswith(MARK):
            self._files[line.removeprefix(MARK)] = []
        elif self._files:
            list(self._files.values())[-1].append(line)
        else:
            print(line, flush=True)

    def _find_status(self) -> int | None:
        """The exit status of the check; None: it goes on."""
        found = self._insist("get", "pod", self._pod, "--ignore-not-found", "--output=json", "--request-timeout=10s")
        status: Object = json.loads(found)["status"] if found else {"reason": "deleted"}
        for container in status.get("containerStatuses", []):
            if ended := container["state"].get("terminated"):
                return int(ended["exitCode"])
        if "reason" in status:
            raise Failed(f"The Job's pod is gone ({status['reason']}), and what it measured with it.")
        return None

    def _run_command(self) -> None:
        """Run the command, and tell the pod when it has ended. In a thread."""
        # Without a terminal, whose keys would reach all that it starts, it is a process group of its own.
        group = None if HAS_TERMINAL else 0
        self._process = subprocess.Popen(["sh", "-c", self._command], process_group=group)
        status = self._process.wait()
        if status < 0:
            status = 128 - status
        try:
            self._insist("exec", self._pod, "--", "python", "-c", TELL_ENDED, str(status))
        except Failed as failure:
            print(f"the check cannot be told that COMMAND has ended: {failure}", file=sys.stderr, flush=True)
            with suppress(Failed):
                cluster.kubectl("delete", "job", "check", "--wait=false")

    def _wait_for_command(self) -> None:
        self._is_over.set()
        if self._thread.is_alive():
            print("the check has ended before COMMAND, which is waited for", flush=True)
            self._thread.join()

    def _end_command(self) -> None:
        """Have the command end, which Ctrl-C on a terminal has told already."""
        if self._process is not None and not HAS_TERMINAL:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, SIGTERM)

    def _insist(self, *arguments: str) -> str:
        """What kubectl says, as soon as it is not cut off."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return cluster.kubectl(*arguments)
            except Failed:
                if self._is_over.is_set():
                    return ""
                if time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE_SECONDS)

    def _keep_files(self) -> None:
        for name, lines in self._files.items():
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / Path(name).name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        if self._files:
            print(f"report: {', '.join(str(FOLDER / name) for name in self._files)}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
