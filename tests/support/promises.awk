# A table of promises from three files: promises.txt, the report of the tests, and their log.
# promise | test | outcome | histories run | faults injected | losses | duplicates
BEGIN { FS = "\t" }
FILENAME == ARGV[1] {
    if ($0 !~ /^#/ && NF == 2) { promise[++rows] = $1; test[rows] = $2 }
    next
}
FILENAME == ARGV[2] {
    place = $1 FS $2
    histories[place] += $3; faults[place] += $4; losses[place] += $5; duplicates[place] += $6
    next
}
match($0, /^test .* \.\.\. (ok|FAILED)/) {
    split($0, words, " ")
    name = words[2]
    sub(/.*::/, "", name)
    outcome = $0 ~ / \.\.\. ok/ ? "kept" : "BROKEN"
    if (found[name] != "BROKEN") found[name] = outcome
}
END {
    for (row = 1; row <= rows; row++) if (length(test[row]) > width) width = length(test[row])
    line = "%-30s  %-" width "s  %-7s  %9s  %7s  %6s  %10s\n"
    printf line, "promise", "test", "", "histories", "faults", "losses", "duplicates"
    for (row = 1; row <= rows; row++) {
        place = promise[row] FS test[row]
        outcome = test[row] in found ? found[test[row]] : "NOT RUN"
        if (outcome != "kept") broken++
        if (place in histories) {
            printf line, promise[row], test[row], outcome, histories[place], faults[place], losses[place], duplicates[place]
            # A test may keep several promises with the same histories.
            if (!(test[row] in counted)) { all_histories += histories[place]; all_faults += faults[place] }
            counted[test[row]] = 1
            all_losses += losses[place]; all_duplicates += duplicates[place]
        } else {
            printf line, promise[row], test[row], outcome, "", "", "", ""
        }
    }
    printf line, "all", rows " tests, " broken + 0 " not kept", "", all_histories + 0, all_faults + 0, all_losses + 0, all_duplicates + 0
    if (broken + all_losses + all_duplicates > 0) exit 1
}
