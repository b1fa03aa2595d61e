"""Issue E, prove it: the whole story on this machine, with a model of a size that people use."""
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

TRIES = 4  # a proof that was disturbed says so, and is made again; one that came to a verdict never is


def call(url, path, body=None):
    request = urllib.request.Request(url + path, data=None if body is None else json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def prove(run, what, run_id):
    """The proof, and those before it that came to no verdict."""
    tried = []
    for _ in range(TRIES):
        report = json.loads(run.llmind("profile", "--prove", what, "--run", run_id, "--json"))
        tried.append(report["proof"])
        if report["proof"]["verdict"] != "unclear":
            break
        time.sleep(20)
    return tried


def apply_and_undo(run, data, run_id, what):
    """Sets it through a server over the same data folder, and puts it back."""
    command = [str(run.program), "serve", "--port", "0", "--data-dir", str(data), "--no-preload"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = re.search(r"http://\S+:\d+", server.stdout.readline())[0]
        applied = call(url, f"/api/profiling/runs/{run_id}/apply", {"recommendation": what})
        during = call(url, "/api/settings")["values"]["threads"]
        call(url, f"/api/profiling/runs/{run_id}/undo", applied["undo"])
        return applied, during, call(url, "/api/settings")["values"]["threads"]
    finally:
        server.terminate()
        server.wait(30)


def proofs(run):
    """Threads at twice the cores: the right count is recommended, proved with an interval, set and put back; temperature makes no real difference."""
    cores = len(os.sched_getaffinity(0))
    data, right = run.work / "proofs-data", f"threads={cores}"
    shutil.rmtree(data, ignore_errors=True)
    os.environ["LLMIND_DATA_DIR"] = str(data)
    report = json.loads(run.llmind("profile", run.model("qwen3-0.6b", "--bits", "4"), "--threads", 2 * cores, "--quick",
                                   "--configurations", "none", "--json"))
    advice = {r["id"]: r for r in report["analysis"]["recommendations"]}
    threads = prove(run, right, report["run_id"])
    temperature = prove(run, "temperature=0.9", report["run_id"])
    applied, during, after = apply_and_undo(run, data, report["run_id"], right)
    return {"passed": bool(right in advice and advice[right]["provable"] and threads[-1]["verdict"] == "kept"
                           and temperature[-1]["reason"] == "no_real_difference"
                           and applied["proved"] and during == cores and after is None),
            "recommended": sorted(advice), "threads": threads[-1]["sentence"], "temperature": temperature[-1]["sentence"],
            "applied": applied, "setting_then": during, "setting_after_undo": after,
            "samples": {"threads": threads, "temperature": temperature}}

