// base/config: one declaration per setting; flags, environment, file, help and docs derive from it.
//
// Purpose      read the command line, NB_* variables and the config file of every binary with the
//              precedence, names and value syntax of contract/signal-relay-ops.md §6.
// Not here     which settings exist (src/cmd/*_config.cc); what they do (the modules).
// Start with   Option in option.h (a row), Table in table.h (rows bound to structs), Cli in cli.h.
// Threads      used before threads start; a Table is not thread-safe.
// Limits       config file 4 MiB, 64 levels; a value 64 KiB; a secret's file 64 KiB.
// Failure      every bad flag, variable or key stops the start with its name, its value and what is
//              allowed; a lenient variable warns of it instead. Values of secrets are never shown.
//
// Why no CLI11: Go's booleans never take the next argument and accept 1/t/T/…, an empty variable
// must count as unset, variables have aliases and *_FILE forms, repeated flags append to the
// variable's list, and errors must hide secrets. Each of these fights the library; the parser of
// the remaining rules is 150 lines.
#pragma once

#include "base/config/cli.h"
#include "base/config/node.h"
#include "base/config/option.h"
#include "base/config/table.h"
