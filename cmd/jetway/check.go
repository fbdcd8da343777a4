package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/jetway-io/jetway/config"
	"github.com/jetway-io/jetway/gateway/token"
)

func newCheckCmd(m *Main) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what is wrong with a configuration file",
		Long: `Say what is wrong with a configuration file: all of it at once, one line each.
Ends with 0 when the file is good, which may include warnings of what is
dangerous, else with 1. Variables and flags are left out of it; "jetway config"
looks at all of them. FILE is jetway.yaml when it is not given.`,
		Example: `  jetway check
  jetway check /etc/jetway/jetway.yaml
  jetway check --config /etc/jetway/jetway.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && cmd.Flags().Changed("config"):
				return usagef(cmd, "FILE and --config name the same thing: give one of them")
			case len(args) == 1:
				file = args[0]
			}
			if file == "" {
				return usagef(cmd, "the name of the file is empty")
			}
			return m.check(file)
		},
	}
	cmd.Flags().StringVar(&file, "config", defaultFile, "the same as FILE")
	return cmd
}

// check prints the warnings about a file.
func (m *Main) check(file string) error {
	c, err := config.Load(config.Source{File: file})
	if err != nil {
		return err
	}
	if err := checkKeys(c); err != nil {
		return err
	}
	for _, w := range c.Warnings() {
		fmt.Fprintln(m.Stdout, "warning:", w)
	}
	_, err = fmt.Fprintf(m.Stdout, "%s is good\n", file)
	return err
}

// checkKeys reads the keys of tokens that are at hand: an issuer is not asked.
func checkKeys(c *config.Config) error {
	c.Auth.JWT.JWKSURL = ""
	if !c.Auth.JWT.On() {
		return nil
	}
	o, err := verifierOptions(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	v, err := token.New(o)
	if err != nil {
		return fmt.Errorf("auth.jwt: %w", err)
	}
	v.Close()
	return nil
}
