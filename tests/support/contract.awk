# The report of the connectors' contract as a table: lines of connector, case, state and reason, separated by tabs.
# Reasons stand below the table, each once.
BEGIN { FS = "\t" }
{
    if (!($1 in width)) { connectors[++connector_count] = $1; width[$1] = length($1) > 7 ? length($1) : 7 }
    if (!($2 in seen)) { seen[$2] = 1; cases[++case_count] = $2; if (length($2) > first) first = length($2) }
    state[$1, $2] = $3
    if ($4 != "" && !(($1, $3, $4) in told)) { told[$1, $3, $4] = 1; reasons[++reason_count] = $1 ": " $3 ": " $4 }
}
END {
    printf "\n%-*s", first, "case"
    for (c = 1; c <= connector_count; c++) printf "  %-*s", width[connectors[c]], connectors[c]
    print ""
    for (r = 1; r <= case_count; r++) {
        printf "%-*s", first, cases[r]
        for (c = 1; c <= connector_count; c++) {
            found = (connectors[c], cases[r]) in state ? state[connectors[c], cases[r]] : "-"
            printf "  %-*s", width[connectors[c]], found
        }
        print ""
    }
    for (r = 1; r <= reason_count; r++) print reasons[r]
    print ""
}
