/* The commands of the program. Each takes its own name as argv[0] and returns an exit code (cli/options.h).
 */
#ifndef LLMIND_CLI_COMMANDS_H
#define LLMIND_CLI_COMMANDS_H

int cli_serve(int argc, char **argv);
int cli_generate(int argc, char **argv);
int cli_chat(int argc, char **argv);
int cli_profile(int argc, char **argv);
int cli_compare(int argc, char **argv);
int cli_convert(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_estimate(int argc, char **argv);
int cli_eval(int argc, char **argv);
int cli_guide(int argc, char **argv);
int cli_history(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_load(int argc, char **argv);
int cli_pull(int argc, char **argv);
int cli_rm(int argc, char **argv);
int cli_show(int argc, char **argv);
int cli_synth(int argc, char **argv);
int cli_system(int argc, char **argv);
int cli_lab(int argc, char **argv);    /* hidden: a process that measures */
int cli_worker(int argc, char **argv); /* hidden: started by the program itself */

/* Finds the command and runs it: all of main. argv[0] is the program. */
int cli_main(int argc, char **argv);

#endif
