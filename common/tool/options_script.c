/*  SPDX-License-Identifier: MPL-2.0  */

#include <string.h>

#include "common/tool/options_complete.h"

/*  In each script NAME is the program's name, and FUNCTION the same with _ for -. All of them call the program that is
    named on the line, and riposte for questions to a broker; what fails is silent.  */

static const char s_bash[] =
  "# bash completion for NAME\n"
  "_FUNCTION ()\n"
  "{\n"
  "    local cur=${COMP_WORDS[COMP_CWORD]} line=${COMP_LINE:0:COMP_POINT} word rest asked\n"
  "    local -a words ask candidates=()\n"
  "    # Not COMP_WORDS, in which tcp://HOST:PORT is several words.\n"
  "    read -ra words <<< \"$line\"\n"
  "    [[ $line != *[[:space:]] ]] || words+=('')\n"
  "    COMPREPLY=()\n"
  "    while IFS=$'\\t' read -r word rest; do\n"
  "        case $word in\n"
  "            :files) compopt -o filenames; COMPREPLY+=($(compgen -f -- \"$cur\")) ;;\n"
  "            :directories) compopt -o filenames; COMPREPLY+=($(compgen -d -- \"$cur\")) ;;\n"
  "            :commands) compopt -o filenames; COMPREPLY+=($(compgen -c -f -- \"$cur\")) ;;\n"
  "            :ask)\n"
  "                IFS=$'\\t' read -ra ask <<< \"$rest\"\n"
  "                while IFS=, read -r asked _; do\n"
  "                    candidates+=(\"$asked\")\n"
  "                done < <(riposte \"${ask[@]}\" 2> /dev/null | tail -n +2) ;;\n"
  "            *) candidates+=(\"$word\") ;;\n"
  "        esac\n"
  "    done < <(\"${words[0]}\" --complete \"${words[@]:1}\" 2> /dev/null)\n"
  "    for word in \"${candidates[@]}\"; do\n"
  "        [[ $word != \"$cur\"* ]] || COMPREPLY+=(\"$word\")\n"
  "    done\n"
  "}\n"
  "complete -F _FUNCTION NAME\n";

static const char s_zsh[] =
  "#compdef NAME\n"
  "local line asked\n"
  "local -a candidates ask\n"
  "for line in \"${(@f)$(\"${words[1]}\" --complete \"${(@)words[2,CURRENT]}\" 2> /dev/null)}\"; "
  "do\n"
  "    case $line in\n"
  "        ('') ;;\n"
  "        (:files) _files ;;\n"
  "        (:directories) _files -/ ;;\n"
  "        (:commands) _command_names -e; _files ;;\n"
  "        (:ask*)\n"
  "            ask=(\"${(@ps:\\t:)line}\")\n"
  "            for asked in \"${(@f)$(riposte \"${(@)ask[2,-1]}\" 2> /dev/null | tail -n +2)}\"; "
  "do\n"
  "                [[ -z $asked ]] || candidates+=(\"${${asked%%,*}//:/\\\\:}\")\n"
  "            done ;;\n"
  "        (*$'\\t'*) candidates+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
  "        (*) candidates+=(\"${line//:/\\\\:}\") ;;\n"
  "    esac\n"
  "done\n"
  "((${#candidates} == 0)) || _describe -V NAME candidates\n";

static const char s_fish[] =
  "# fish completion for NAME\n"
  "function __FUNCTION_complete\n"
  "    set -l words (commandline -opc) (commandline -ct)\n"
  "    for line in ($words[1] --complete $words[2..] 2> /dev/null)\n"
  "        set -l parts (string split \\t -- $line)\n"
  "        switch $parts[1]\n"
  "            case :files\n"
  "                __fish_complete_path (commandline -ct)\n"
  "            case :commands\n"
  "                complete -C (commandline -ct | string collect -a)\n"
  "            case :directories\n"
  "                __fish_complete_directories (commandline -ct)\n"
  "            case :ask\n"
  "                riposte $parts[2..] 2> /dev/null | tail -n +2 | string split -f 1 ,\n"
  "            case '*'\n"
  "                echo $line\n"
  "        end\n"
  "    end\n"
  "end\n"
  "complete -c NAME -f -k -a '(__FUNCTION_complete)'\n";

const char *const rp_option_shells[] = {"bash", "zsh", "fish", NULL};
static const char *const s_scripts[] = {s_bash, s_zsh, s_fish};

/*  Writes a name; as part of a function's name, in which a shell wants no dash.  */
static void s_write_name (const char *name, bool is_function, FILE *out)
{
    for (; *name; name++)
        fputc (is_function && *name == '-' ? '_' : *name, out);
}

bool rp_options_script (const rp_program_t *program, const char *shell, FILE *out)
{
    size_t index = 0;
    while (rp_option_shells[index] && strcmp (rp_option_shells[index], shell) != 0)
        index++;
    if (!rp_option_shells[index])
        return false;
    static const char name[] = "NAME";
    static const char function[] = "FUNCTION";
    for (const char *text = s_scripts[index]; *text;) {
        bool is_name = strncmp (text, name, strlen (name)) == 0;
        bool is_function = strncmp (text, function, strlen (function)) == 0;
        if (is_name || is_function)
            s_write_name (program->name, is_function, out);
        else
            fputc (*text, out);
        text += is_name ? strlen (name) : is_function ? strlen (function) : 1;
    }
    return true;
}
