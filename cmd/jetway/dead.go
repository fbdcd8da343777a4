package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/bridge"
	"github.com/jetway-io/jetway/gateway/native/client"
)

func newDeadCmd(m *Main) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Look at dead letters, requeue or drop them",
		Long: `Look at dead letters, requeue or drop them: jobs that failed too often, or that
a worker has given up. They are kept until somebody decides.`,
		Example: `  jetway dead ls
  jetway dead show ID
  jetway dead requeue ID`,
		SuggestionsMinimumDistance: 2, // as the root's
		Args:                       noSuchCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDeadLsCmd(m), newDeadShowCmd(m), newDeadRequeueCmd(m), newDeadDropCmd(m))
	return cmd
}

func newDeadLsCmd(m *Main) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ls [QUEUE]",
		Short: "List dead letters, the oldest first",
		Long: `List dead letters, the oldest first: the ID that the other commands take, when
the job died, its queue, its tries and the reason. QUEUE is the subject of
a queue, such as jobs.resize, or jobs.* for several; without it, all are listed.`,
		Example: `  jetway dead ls
  jetway dead ls jobs.resize
  jetway dead ls --json | jq -r 'select(.tries < 5) | .id'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.withClient(cmd, func(ctx context.Context, c *client.Client) error {
				return eachLetter(ctx, c, args, func(l *letter) error {
					if asJSON {
						return json.NewEncoder(m.Stdout).Encode(l)
					}
					_, err := fmt.Fprintln(m.Stdout, l)
					return err
				})
			})
		},
	}
	m.urlFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each, with everything in it")
	return cmd
}

func newDeadShowCmd(m *Main) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show all of one dead letter",
		Long:  `Show all of one dead letter: what happened to the job, its headers and its payload.`,
		Example: `  jetway dead show x7k2m9qa-51
  jetway dead show x7k2m9qa-51 --json | jq .data`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.withClient(cmd, func(ctx context.Context, c *client.Client) error {
				l, err := findLetter(ctx, c, args[0])
				switch {
				case err != nil:
					return err
				case asJSON:
					return json.NewEncoder(m.Stdout).Encode(l)
				}
				return l.show(m.Stdout)
			})
		},
	}
	m.urlFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func newDeadRequeueCmd(m *Main) *cobra.Command {
	d := &decision{main: m, verb: "requeue", subject: "dead.requeue"}
	return d.command(&cobra.Command{
		Use:   "requeue ID... | --all [QUEUE]",
		Short: "Give dead letters back to their queues",
		Long: `Give dead letters back to their queues, as new jobs with all their tries before
them. Each is printed with the position of the new job, and where to watch it.`,
		Example: `  jetway dead requeue x7k2m9qa-51 x7k2m9qa-52
  jetway dead requeue --all jobs.resize --yes`,
	})
}

func newDeadDropCmd(m *Main) *cobra.Command {
	d := &decision{main: m, verb: "drop", subject: "dead.drop"}
	return d.command(&cobra.Command{
		Use:   "drop ID... | --all [QUEUE]",
		Short: "Delete dead letters for good",
		Long:  `Delete dead letters for good.`,
		Example: `  jetway dead drop x7k2m9qa-51
  jetway dead drop --all --yes`,
	})
}

// decision is what to do with dead letters.
type decision struct {
	main    *Main
	verb    string // as people say it
	subject string // of the request that does it, which the gateway answers

	all, yes, asJSON bool
}

func (d *decision) command(cmd *cobra.Command) *cobra.Command {
	d.main.urlFlag(cmd)
	cmd.Flags().BoolVar(&d.all, "all", false, "all that are there now, of one QUEUE if it is named; needs --yes")
	cmd.Flags().BoolVar(&d.yes, "yes", false, "mean it")
	cmd.Flags().BoolVar(&d.asJSON, "json", false, "print one JSON object for each")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case d.all && len(args) > 1:
			return fmt.Errorf("--all takes at most one QUEUE, not %d", len(args))
		case !d.all && len(args) == 0:
			return errors.New("which? Name IDs, as \"jetway dead ls\" lists them, or --all")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.main.withClient(cmd, func(ctx context.Context, c *client.Client) error {
			if !d.all {
				return d.do(ctx, c, args)
			}
			return d.doAll(ctx, cmd, c, args)
		})
	}
	return cmd
}

// doAll does it to all that are there before the first is done: a job that
// dies again at once is not given back again.
func (d *decision) doAll(ctx context.Context, cmd *cobra.Command, c *client.Client, queue []string) error {
	var ids []string
	err := eachLetter(ctx, c, queue, func(l *letter) error {
		ids = append(ids, l.ID)
		return nil
	})
	switch {
	case err != nil:
		return err
	case !d.yes && len(ids) > 0:
		return usagef(cmd, "this would %s %d dead letters: add --yes if you mean it", d.verb, len(ids))
	}
	return d.do(ctx, c, ids)
}

// do does it to each, and goes on after one that cannot be helped.
func (d *decision) do(ctx context.Context, c *client.Client, ids []string) error {
	var failed []error
	for _, id := range ids {
		err := d.one(ctx, c, id)
		switch {
		case d.all && errors.Is(err, &bridge.Error{Code: bridge.CodeNotFound}):
			fmt.Fprintf(d.main.Stderr, "%s is not there any more\n", id)
		case err != nil && (ctx.Err() != nil || c.Err() != nil):
			return errors.Join(append(failed, fmt.Errorf("%s: %w", id, err))...)
		case err != nil:
			failed = append(failed, fmt.Errorf("%s: %w", id, err))
		}
	}
	return errors.Join(failed...)
}

func (d *decision) one(ctx context.Context, c *client.Client, id string) error {
	ask, err := json.Marshal(map[string]string{"pos": id})
	if err != nil {
		return err
	}
	r, err := c.Request(ctx, d.subject, ask, client.RequestOptions{})
	if err != nil {
		return err
	}
	did := struct {
		ID    string `json:"id"`
		Pos   string `json:"pos,omitempty"`
		Watch string `json:"watch,omitempty"`
	}{}
	if err := json.Unmarshal(r.Payload(), &did); err != nil {
		return fmt.Errorf("the gateway's answer %.100q: %w", r.Payload(), err)
	}
	did.ID = id
	switch {
	case d.asJSON:
		err = json.NewEncoder(d.main.Stdout).Encode(did)
	case did.Pos != "":
		_, err = fmt.Fprintf(d.main.Stdout, "%s is now %s%s\n", id, did.Pos, prefixed(", watch it on ", did.Watch))
	default:
		_, err = fmt.Fprintf(d.main.Stdout, "%s is gone\n", id)
	}
	return err
}
