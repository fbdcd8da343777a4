package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/config"
	"github.com/jetway-io/jetway/gateway/native/client"
	"github.com/jetway-io/jetway/gateway/websock"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // the command was understood, and did not succeed
	exitUsage  = 2 // the command line is wrong
)

// Main is the program without the process around it.
type Main struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Env            []string // "NAME=value", as os.Environ

	// Hangup returns what tells a server to read its configuration again. Only
	// a server calls it: other commands end with their terminal. Nil: nothing.
	Hangup func() <-chan os.Signal
}

// Run executes one command line, without the program's name, and returns the
// exit code. It returns when the command has ended; ctx asks it to.
func (m *Main) Run(ctx context.Context, args []string) int {
	root := m.newRoot()
	root.SetArgs(m.withDefault(root, args))
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		m.complain(err)
		fmt.Fprintf(m.Stderr, "run %q for help\n", usage.command+" --help")
		return exitUsage
	}
	m.complain(err)
	return exitFailed
}

// newRoot builds the commands.
func (m *Main) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "jetway",
		Short: "Jetway connects WebSocket clients to NATS JetStream",
		Long: `Jetway connects browsers and other WebSocket clients to NATS JetStream.

Without a command, it serves. Configuration is read from jetway.yaml in the
working directory if it is there, then from JETWAY_ variables, then from flags.`,
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2, // edits between what was typed and what may have been meant
		Args:                       noSuchCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(m.Stdin)
	root.SetOut(m.Stdout)
	root.SetErr(m.Stderr)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newServeCmd(m),
		newPubCmd(m),
		newSubCmd(m),
		newWorkCmd(m),
		newReqCmd(m),
		newDeadCmd(m),
		newTokenCmd(m),
		newCheckCmd(m),
		newConfigCmd(m),
		newVersionCmd(m),
	)
	usageErrors(root)
	return root
}

// usageErrors makes what is wrong with arguments an error of usage, in all
// commands below.
func usageErrors(parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		cmd.Args = asUsage(cmd.Args)
		usageErrors(cmd)
	}
}

// defaultCommand is what runs when none is named.
const defaultCommand = "serve"

// withDefault names the default command where the command line does not name
// one: it is empty, or begins with a flag other than --help.
func (m *Main) withDefault(root *cobra.Command, args []string) []string {
	if len(args) > 0 && (!strings.HasPrefix(args[0], "-") || args[0] == "-h" || args[0] == "--help") {
		return args
	}
	if named, _, err := root.Find(args); err != nil || named != root {
		return args
	}
	for _, cmd := range root.Commands() {
		if cmd.Name() == defaultCommand {
			return append([]string{defaultCommand}, args...)
		}
	}
	return args
}

// complain prints an error for people. Problems of the configuration begin
// with their place, which editors can jump to, so they go without a prefix.
func (m *Main) complain(err error) {
	var p *config.Problem
	if errors.As(err, &p) {
		fmt.Fprintln(m.Stderr, err)
		return
	}
	fmt.Fprintf(m.Stderr, "jetway: %v\n", err)
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(m.Stderr, "hint: %s\n", printable(hint))
	}
}

// hintOf is what to do about an error of a gateway, "" if it does not say.
func hintOf(err error) string {
	var closed *client.ClosedError
	if errors.As(err, &closed) && closed.Code != websock.CodeUnauthenticated {
		return "" // its own words say all
	}
	var e *bridge.Error
	switch {
	case closed != nil, errors.As(err, &e) && e.Code == bridge.CodeUnauthenticated:
		return "set JETWAY_TOKEN to a token that the gateway takes"
	case e != nil:
		return e.Hint
	}
	return ""
}

// usageError is a command line that cannot be understood.
type usageError struct {
	command string // "jetway check"
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef makes a [usageError] for a command.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{command: cmd.CommandPath(), err: fmt.Errorf(format, args...)}
}

// asUsage turns what is wrong with a command's arguments into a usageError.
func asUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			check = cobra.ArbitraryArgs
		}
		if err := check(cmd, args); err != nil {
			return usagef(cmd, "%w", err)
		}
		return nil
	}
}

// noSuchCommand refuses what is left when no command was recognised.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(": did you mean %q?", near[0])
	}
	return usagef(cmd, "unknown command %q%s", args[0], hint)
}

// flagError adds to an unknown flag which one may have been meant.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usagef(cmd, "%w", err)
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	return usagef(cmd, "%w%s", err, config.FlagHint(unknown.GetSpecifiedName(), known))
}
