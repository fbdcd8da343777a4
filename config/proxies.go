package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// Proxies are the networks of trusted_proxies; an address is one by itself.
func (c *Config) Proxies() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range c.TrustedProxies {
		if p, err := parseProxy(s); err == nil {
			list = append(list, p)
		}
	}
	return list
}

func (c *Config) validateProxies(ps *problems) {
	const key = "trusted_proxies"
	for _, s := range c.TrustedProxies {
		if _, err := parseProxy(s); err != nil {
			ps.add(c.at(key), key, "%q %v", s, err)
		}
	}
}

// parseProxy reads an address or a network. Addresses of IPv4 that are written
// as ones of IPv6 are refused in networks: nobody means them.
func parseProxy(s string) (netip.Prefix, error) {
	notOne := fmt.Errorf("is no address and no network: write one of IPv4 or IPv6, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8")
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, notOne
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil, p.Addr().Is4In6():
		return netip.Prefix{}, notOne
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("has bits beyond its length: write %s", p.Masked())
	}
	return p, nil
}
