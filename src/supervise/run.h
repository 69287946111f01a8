#ifndef ATHANORE_SUPERVISE_RUN_H
#define ATHANORE_SUPERVISE_RUN_H

#include "supervise/agent.h"
#include "supervise/cgroup.h"
#include "supervise/eventlog.h"
#include "supervise/report.h"
#include "supervise/settings.h"

/*
 * Watches the running agent until it, and every process it started, is gone:
 * writes its output to log, keeps the deadlines, and does what TERM (read from
 * signal_fd, together with CHLD) and stop.json ask for. Fills in outcome but for the times and
 * the log. Closes the agent's pipes and frees cgroup (which may be NULL). The caller frees
 * outcome->reason.
 */
void run_watch(const struct settings *settings, const struct agent *agent, struct cgroup *cgroup,
    int signal_fd, struct eventlog *log, struct outcome *outcome);

#endif
