#!/usr/bin/env python3
"""Adds up the checks of a test run: python3 tests/tally.py BUILD/meson-logs/testlog.json

Prints "N passed, N failed" and exits with 1 if anything failed or nothing ran. A test program of Check counts with the
number of its checks, as it reports them; any other program, and one that died before its report, counts as one.
"""
import json
import re
import sys

SUMMARY = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)

passed = failed = 0
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        test = json.loads(line)
        if test["result"] == "SKIP":
            continue
        good = test["result"] in ("OK", "EXPECTEDFAIL")
        reports = [tuple(map(int, report)) for report in SUMMARY.findall(test.get("stdout", ""))]
        bad = sum(failures + errors for _, failures, errors in reports)
        if not reports or (bad == 0 and not good):
            reports, bad = [*reports, (1, 0, 0)], 0 if good else 1
        passed += sum(checks for checks, _, _ in reports) - bad
        failed += bad
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0 or passed == 0)
