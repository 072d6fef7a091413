# Print C source with comments blanked and the contents of string and character
# literals taken out, line by line, so that what is left is code. The lines of
# #include keep their names. Each line has "FILE:" before it.
FNR == 1 {
    comment = 0
}
{
    line = $0
    out = ""
    include = (line ~ /^[ \t]*#[ \t]*include/)
    while (line != "") {
        if (comment) {
            end = index(line, "*/")
            if (end == 0) {
                break
            }
            line = substr(line, end + 2)
            comment = 0
            continue
        }
        two = substr(line, 1, 2)
        one = substr(line, 1, 1)
        if (two == "/*") {
            comment = 1
            line = substr(line, 3)
            out = out " "
        } else if (two == "//") {
            break
        } else if (!include && (one == "\"" || one == "'")) {
            line = substr(line, 2)
            while (line != "" && substr(line, 1, 1) != one) {
                line = substr(line, substr(line, 1, 1) == "\\" ? 3 : 2)
            }
            line = substr(line, 2)
            out = out one one
        } else {
            out = out one
            line = substr(line, 2)
        }
    }
    print FILENAME ":" out
}
