#!/bin/sh
# Fails when a file includes a header that layers.txt does not let its folder see. The other half
# of the check is the linker's: a unit test links its layer and those below, see tests/unit.
cd "${top_srcdir:-.}" || exit 1

find include proto server client -name '*.[chS]' ! -name '*.pb-c.*' | sort | xargs awk '
function folder(path,    d)
{
	for (d = path; sub("/[^/]*$", "", d); )
		if (d in may)
			return d
	return ""
}

# Whether the door names the file, or a folder that it is below.
function comes_by(path, d,    i, n, let)
{
	n = split(door[d], let, " ")
	for (i = 1; i <= n; i++)
		if (let[i] == path || (let[i] ~ /\/$/ && index(path, let[i]) == 1))
			return 1
	return 0
}

function complain(text)
{
	printf "# %s:%d: %s\n", FILENAME, FNR, text
	complaints++
}

FILENAME == table && $1 == "layer" {
	may[$2] = " "
	for (i = 2; i <= NF; i++)
		may[$2] = may[$2] $i " "
}

FILENAME == table && $1 == "door" {
	door[$2] = " "
	for (i = 3; i <= NF; i++)
		door[$2] = door[$2] $i " "
}

FILENAME != table && match($0, /^#[ \t]*include[ \t]*[<"][^>"]+/) {
	header = substr($0, RSTART, RLENGTH)
	sub(/^[^<"]*[<"]/, "", header)
	for (d in door)
		if (index(header, d) == 1 && !comes_by(FILENAME, d))
			complain(header " may be included by" door[d] "only")
	if (header ~ /^chan\//)
		header = "include/" header
	if (header !~ /\//) {
		# A header beside the file, or one of the system.
		next
	}
	mine = folder(FILENAME)
	theirs = folder(header)
	if (theirs != "" && !index(may[mine], " " theirs " "))
		complain(mine " may not include from " theirs " (" header ")")
}

FILENAME != table && FNR == 1 && folder(FILENAME) == "" {
	complain("belongs to no layer of " table)
}

END {
	print "1..1"
	print (complaints ? "not ok" : "ok") " 1 - every include points down"
}' table=tests/tools/layers.txt tests/tools/layers.txt
