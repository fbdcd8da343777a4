package config

import "reflect"

// Differs returns the keys, in the order of [Keys], whose values another
// configuration has not.
func (c *Config) Differs(other *Config) []string {
	var changed []string
	for _, k := range keys {
		if k.field != nil && !reflect.DeepEqual(k.field(c), k.field(other)) {
			changed = append(changed, k.Path)
		}
	}
	return changed
}
