"""A directory output, and an action that takes it as its input."""

def _tree_impl(ctx):
    directory = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        outputs = [directory],
        arguments = [directory.path, str(ctx.attr.count)],
        command = """
set -e
mkdir -p "$1/nested/empty"
for i in $(seq "$2"); do echo "shard $i" > "$1/nested/shard-$i.txt"; done
ln -s nested/shard-1.txt "$1/first"
printf '#!/bin/sh\\necho run\\n' > "$1/tool.sh"; chmod +x "$1/tool.sh"
""",
        mnemonic = "Shards",
    )
    return [DefaultInfo(files = depset([directory]))]

tree = rule(implementation = _tree_impl, attrs = {"count": attr.int(default = 1)})

def _tree_summary_impl(ctx):
    directory = ctx.files.tree[0]
    out = ctx.actions.declare_file(ctx.label.name + ".txt")
    ctx.actions.run_shell(
        inputs = [directory],
        outputs = [out],
        arguments = [directory.path, out.path],
        command = """
set -e
{ cat "$1"/nested/shard-*.txt; cat "$1/first"; "$1/tool.sh"; } > "$2"
""",
        mnemonic = "Summary",
    )
    return [DefaultInfo(files = depset([out]))]

tree_summary = rule(implementation = _tree_summary_impl, attrs = {"tree": attr.label()})
