package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of /proc's processor times; Linux has it at 100 a second for every program.
const tick = 10 * time.Millisecond

// usage is what processors have done up to now.
type usage struct {
	// server is of the process under test and its children; 0 when it is not known which one it is.
	server time.Duration
	client time.Duration
	// idle is of all processors together, waiting for the disk included.
	idle time.Duration
}

func usageNow(serverPid int) (usage, error) {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return usage{}, fmt.Errorf("own processor time: %w", err)
	}
	u := usage{client: time.Duration(own.Utime.Nano() + own.Stime.Nano())}
	if serverPid == 0 {
		return u, nil
	}
	var err error
	if u.server, err = processorTime(serverPid); err != nil {
		return u, err
	}
	u.idle, err = idleTime()
	return u, err
}

// processorTime is that of a process, all its threads and all its children, which must outlive the row.
func processorTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; what follows it are numbers: state is the 3rd, utime the 14th.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	spent, err := ticks(fields[14-3 : 16-3])
	if err != nil {
		return 0, err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	for child := range strings.FieldsSeq(string(children)) {
		childPid, err := strconv.Atoi(child)
		if err != nil {
			return 0, err
		}
		of, err := processorTime(childPid)
		if err != nil {
			return 0, err
		}
		spent += of
	}
	return spent, nil
}

func idleTime() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	// cpu, user, nice, system, idle, iowait
	return ticks(strings.Fields(string(stat))[4:6])
}

func ticks(fields []string) (time.Duration, error) {
	var sum time.Duration
	for _, field := range fields {
		count, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(count) * tick
	}
	return sum, nil
}
