r"""The small shell that containers run: `sh -c "…"`, `kubectl exec -it … -- bash`.

The grammar, in full (anything else is a syntax that gpulab does not model):

    line      = pipelines joined by `;` or a line end, `&&`, `||`; `# comment`
    pipeline  = [!] command { | command }
    command   = simple | ( line ) | { line; } | while/until line; do line; done
              | for NAME [in WORD…]; do line; done | if line; then line; [elif …] [else …] fi
    simple    = [NAME=WORD…] WORD… with [n]> >> < 2>&1 &> and here-documents
    WORD      = text, '…', "…", \x, $NAME ${NAME} ${NAME:-word} $? $# $$ $1, $(line), `line`,
                $((arithmetic)), ~, and patterns with * ? […]

Commands are the built-in ones (`builtins.py`, `test.py`), a few programs over the container's files
(`commands.py`, `text.py`, `archive.py`), and what the workload catalogue knows.

A main process stays pure: it sees files that the image and its volumes have at its start, what the
Pod's init containers left in shared volumes, and what it writes itself, so its output can be
computed again at any time. `kubectl exec` sees the same files as they are now and may change them;
the main process does not notice, and a restart of the simulator forgets those changes.
"""
