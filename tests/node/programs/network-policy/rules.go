package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

type meta struct {
	Name, Namespace string
	Labels          map[string]string
}

type selector struct {
	MatchLabels      map[string]string
	MatchExpressions []struct {
		Key, Operator string
		Values        []string
	}
}

func (s *selector) matches(labels map[string]string) bool {
	for key, value := range s.MatchLabels {
		if got, there := labels[key]; !there || got != value {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		got, there := labels[e.Key]
		in := false
		for _, value := range e.Values {
			in = in || (there && got == value)
		}
		switch e.Operator {
		case "In":
			if !in {
				return false
			}
		case "NotIn":
			if in {
				return false
			}
		case "Exists":
			if !there {
				return false
			}
		case "DoesNotExist":
			if there {
				return false
			}
		}
	}
	return true
}

type pod struct {
	Metadata meta
	Spec     struct {
		HostNetwork bool
		Containers  []struct {
			Ports []struct {
				Name          string
				ContainerPort int
				Protocol      string
			}
		}
	}
	Status struct{ PodIP, Phase string }
}

func (p *pod) port(name, protocol string) []int {
	var found []int
	for _, container := range p.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name && (port.Protocol == protocol || port.Protocol == "" && protocol == "TCP") {
				found = append(found, port.ContainerPort)
			}
		}
	}
	return found
}

type port struct {
	Protocol string
	Port     json.RawMessage
	EndPort  *int
}

type peer struct {
	PodSelector, NamespaceSelector *selector
	IPBlock                        *struct {
		CIDR   string
		Except []string
	}
}

type rule struct {
	From, To []peer
	Ports    []port
}

type policy struct {
	Metadata meta
	Spec     struct {
		PodSelector     selector
		PolicyTypes     []string
		Ingress, Egress []rule
	}
}

type state struct {
	namespaces struct{ Items []struct{ Metadata meta } }
	pods       struct{ Items []pod }
	policies   struct{ Items []policy }
}

// live are the pods that have an address of their own.
func (s *state) live() []pod {
	var live []pod
	for _, p := range s.pods.Items {
		running := p.Status.Phase == "Pending" || p.Status.Phase == "Running"
		if p.Status.PodIP != "" && !p.Spec.HostNetwork && running {
			live = append(live, p)
		}
	}
	return live
}

// end is one side of a permission: everybody, a network with exceptions, or a pod.
type end struct {
	match string
	pod   *pod
}

func (s *state) ends(namespace, side string, peers []peer) []end {
	if len(peers) == 0 {
		return []end{{}}
	}
	var found []end
	for _, p := range peers {
		if p.IPBlock != nil {
			if strings.Contains(p.IPBlock.CIDR, ":") {
				continue // there is no IPv6 here
			}
			match := fmt.Sprintf("ip %s %s ", side, p.IPBlock.CIDR)
			if len(p.IPBlock.Except) > 0 {
				match += fmt.Sprintf("ip %s != { %s } ", side, strings.Join(p.IPBlock.Except, ", "))
			}
			found = append(found, end{match: match})
			continue
		}
		in := map[string]bool{}
		for _, n := range s.namespaces.Items {
			if p.NamespaceSelector == nil {
				in[n.Metadata.Name] = n.Metadata.Name == namespace
			} else {
				in[n.Metadata.Name] = p.NamespaceSelector.matches(n.Metadata.Labels)
			}
		}
		for _, other := range s.live() {
			if in[other.Metadata.Namespace] && (p.PodSelector == nil || p.PodSelector.matches(other.Metadata.Labels)) {
				found = append(found, end{match: fmt.Sprintf("ip %s %s ", side, other.Status.PodIP), pod: &other})
			}
		}
	}
	return found
}

// ports as nft writes them; a named port is looked up in the pod that is connected to.
func ports(wanted []port, target *pod) []string {
	if len(wanted) == 0 {
		return []string{""}
	}
	var found []string
	for _, p := range wanted {
		protocol := p.Protocol
		if protocol == "" {
			protocol = "TCP"
		}
		lower := strings.ToLower(protocol)
		if len(p.Port) == 0 {
			found = append(found, "meta l4proto "+lower+" ")
			continue
		}
		var numbers []int
		var name string
		if number, err := strconv.Atoi(string(p.Port)); err == nil {
			numbers = []int{number}
		} else if json.Unmarshal(p.Port, &name) == nil && target != nil {
			numbers = target.port(name, protocol)
		}
		for _, number := range numbers {
			last := ""
			if p.EndPort != nil {
				last = fmt.Sprintf("-%d", *p.EndPort)
			}
			found = append(found, fmt.Sprintf("%s dport %d%s ", lower, number, last))
		}
	}
	return found
}

// rules is the table: a chain for each pod and direction that a policy isolates, which returns for what is allowed.
func (s *state) rules() string {
	chains := map[string]map[string]bool{}
	jumps := map[string]map[string]string{"Ingress": {}, "Egress": {}}
	for _, policy := range s.policies.Items {
		types := policy.Spec.PolicyTypes
		if len(types) == 0 {
			types = []string{"Ingress"}
			if len(policy.Spec.Egress) > 0 {
				types = append(types, "Egress")
			}
		}
		for _, isolated := range s.live() {
			if isolated.Metadata.Namespace != policy.Metadata.Namespace || !policy.Spec.PodSelector.matches(isolated.Metadata.Labels) {
				continue
			}
			for _, kind := range types {
				side, allowed := "saddr", policy.Spec.Ingress
				if kind == "Egress" {
					side, allowed = "daddr", policy.Spec.Egress
				}
				ip := isolated.Status.PodIP
				name := strings.ToLower(kind) + "_" + strings.ReplaceAll(ip, ".", "_")
				jumps[kind][ip] = name
				if chains[name] == nil {
					chains[name] = map[string]bool{fmt.Sprintf("ip %s %s return", side, ip): true}
				}
				for _, r := range allowed {
					peers := r.From
					if kind == "Egress" {
						peers = r.To
					}
					for _, e := range s.ends(policy.Metadata.Namespace, side, peers) {
						target := &isolated
						if kind == "Egress" {
							target = e.pod
						}
						for _, p := range ports(r.Ports, target) {
							chains[name][e.match+p+"return"] = true
						}
					}
				}
			}
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "table %s {\n", table)
	for _, name := range sorted(chains) {
		fmt.Fprintf(&out, " chain %s {\n", name)
		for _, line := range sorted(chains[name]) {
			fmt.Fprintf(&out, "  %s\n", line)
		}
		out.WriteString("  counter drop\n }\n")
	}
	hook := func(name string, kinds ...string) {
		fmt.Fprintf(&out, " chain %s {\n  type filter hook %s priority -10; policy accept;\n  ct state established,related accept\n", name, name)
		for _, kind := range kinds {
			side := map[string]string{"Ingress": "daddr", "Egress": "saddr"}[kind]
			for _, ip := range sorted(jumps[kind]) {
				fmt.Fprintf(&out, "  ip %s %s jump %s\n", side, ip, jumps[kind][ip])
			}
		}
		out.WriteString(" }\n")
	}
	hook("forward", "Egress", "Ingress")
	hook("input", "Egress")
	out.WriteString("}\n")
	return out.String()
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
