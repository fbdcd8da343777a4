package config

// ParseOnly is Load without looking at the disk.
func ParseOnly(src Source) (*Config, error) {
	c, ps := parse(src)
	return c, ps.err()
}

// WithoutOrigins is the values alone, for comparing.
func (c *Config) WithoutOrigins() Config {
	v := *c
	v.origins, v.file, v.stray = nil, "", nil
	return v
}

var (
	ParseSize      = parseSize
	ParseDuration  = parseDuration
	FormatDuration = formatDuration
	ParseRate      = parseRate
	FormatRate     = formatRate
)
