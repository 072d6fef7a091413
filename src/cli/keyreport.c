/* What a command has brought into a partition. See keyreport.h. */
#include "cli/keyreport.h"

#include "cli/keyinfo.h"

void keyreport_begin(struct keyreport *report, const struct cli *cli)
{
    static const char *const heads[] = {"id", "label", "type", "size", "usage", "", NULL};

    *report = (struct keyreport){.made = NULL};
    if (cli->output.json) {
        report->made = json_array();
        report->there = json_array();
    } else {
        table_init(&report->table, heads);
    }
}

void keyreport_add(struct keyreport *report, const struct quadhsm_object *object, bool made)
{
    struct keyinfo info;

    keyinfo_of(object, &info);
    report->made_count += made ? 1 : 0;
    report->there_count += made ? 0 : 1;
    if (report->made != NULL) {
        (void)json_array_append_new(made ? report->made : report->there, keyinfo_json(&info));
        return;
    }
    table_cell(&report->table, STYLE_PLAIN, "%s", info.id[0] != '\0' ? info.id : "-");
    table_cell(&report->table, STYLE_BOLD, "%s", info.label[0] != '\0' ? info.label : "-");
    table_cell(&report->table, STYLE_PLAIN, "%s", info.type);
    table_cell(&report->table, STYLE_PLAIN, "%s", info.size);
    table_cell(&report->table, STYLE_PLAIN, "%s", info.usage);
    table_cell(&report->table, made ? STYLE_GOOD : STYLE_DIM, "%s",
               made ? "imported" : "was there already");
}

void keyreport_end(struct keyreport *report, const struct cli *cli, int status)
{
    if (report->made == NULL) {
        table_print(&report->table, &cli->output, 0, report->made_count + report->there_count > 0);
    } else if (status == EXIT_DONE) {
        output_json(&cli->output,
                    json_pack("{s:o, s:o}", "imported", report->made, "present", report->there));
    } else {
        json_decref(report->made);
        json_decref(report->there);
    }
}
