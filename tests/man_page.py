#!/usr/bin/env python3
"""Whether gemel(1) and the command agree: man_page.py gemel.1, with GEMEL_COMMAND as in tests/support/command.h.

A section ".SS Options of train and knn" of the page holds flags of these commands, "every command" those of all. For every command
the page must have the flags that its --help prints, and no others; flags named elsewhere must exist. Where mandoc or groff
is installed, neither may find anything to warn of.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys

FLAG = re.compile(r"(?<![\w-])--[a-z](?:[a-z0-9-]*[a-z0-9])?")
HELP_FLAG = re.compile(r"^ {2,8}(?:-[\w?], )?(--[a-z0-9-]+)", re.MULTILINE)  # not the words behind it
LINTERS = [["mandoc", "-T", "lint", "-W", "warning"], ["groff", "-ww", "-man", "-T", "utf8", "-z"]]

complaints = []


def gemel(*words):
    command = [*shlex.split(os.environ["GEMEL_COMMAND"]), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def commands_of(title, every):
    """The commands of a heading "Options of train, augment and knn"."""
    names = re.split(r", | and ", title.removeprefix("Options of "))
    return every if names == ["every command"] else names


def flags_of_page(text, every):
    """Flags by command, told by the tags of the sections, and all flags that the page names."""
    flags, current, tag_next = {command: set() for command in every}, [], False
    for line in text.splitlines():
        if line.startswith((".SH ", ".SS ")):
            title = line[4:].strip('"')
            current = commands_of(title, every) if title.startswith("Options of ") else []
            for command in set(current) - set(every):
                complaints.append(f'"{title}": there is no command {command}')
        elif tag_next:
            for command in set(current) & set(every):
                flags[command] |= set(FLAG.findall(line))
        tag_next = line in (".TP", ".TQ")
    return flags, set(FLAG.findall(text))


def main(path):
    with open(path, encoding="utf-8") as page:
        text = re.sub(r"\\f[RPBI]", "", page.read().replace(r"\-", "-"))
    overview = gemel("--help")
    every = re.findall(r"^  (\w+) ", overview, re.MULTILINE)
    of_page, named = flags_of_page(text, every)
    of_help = {command: set(HELP_FLAG.findall(gemel(command, "--help"))) for command in every}
    for command in every:
        if f"gemel {command}" not in text.partition(".SH DESCRIPTION")[0]:
            complaints.append(f"SYNOPSIS lacks gemel {command}")
        complaints.extend(f"gemel {command} {flag} is missing" for flag in sorted(of_help[command] - of_page[command]))
        complaints.extend(f"gemel {command} has no {flag}" for flag in sorted(of_page[command] - of_help[command]))
    known = set().union(*of_help.values()) | {"--help", "--version"}
    complaints.extend(f"{flag}: no command has it" for flag in sorted(named - known))
    version = gemel("--version").split()[1]
    if f'"Gemel {version}"' not in text:
        complaints.append(f"the version is {version}")
    for linter in LINTERS:
        if shutil.which(linter[0]):
            done = subprocess.run([*linter, path], capture_output=True, text=True, check=False)
            complaints.extend((done.stdout + done.stderr).splitlines())
    for complaint in complaints:
        print(f"{path}: {complaint}")
    print(f"{len(every)} commands, {sum(map(len, of_help.values()))} flags")
    return len(complaints) > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
