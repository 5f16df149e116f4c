// network-policy enforces networking.k8s.io/v1 NetworkPolicy for the pods of the one node of these tests, by nftables.
//
//	network-policy URL CA CERTIFICATE KEY
//
// It reads pods, namespaces and policies four times a second and replaces its table in one transaction when the outcome
// has changed, so a new pod or policy counts within about half a second. Pod to pod passes the forward hook (bridge
// netfilter is on), pod to node the input hook. Known: podSelector, namespaceSelector, ipBlock with except, ports by
// number, name and range, TCP, UDP and SCTP. Answers of allowed connections pass, a pod always reaches itself, and the
// node always reaches its pods. What is denied is dropped: a client sees a timeout. IPv4 only. For tests: it is not
// conformance-tested, and it is no product.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

const table = "inet network_policy"

type cluster struct {
	url  string
	http http.Client
}

func (c *cluster) get(path string, into any) error {
	answer, err := c.http.Get(c.url + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

func (c *cluster) read() (state, error) {
	var s state
	err := c.get("/api/v1/namespaces", &s.namespaces)
	if err == nil {
		err = c.get("/api/v1/pods", &s.pods)
	}
	if err == nil {
		err = c.get("/apis/networking.k8s.io/v1/networkpolicies", &s.policies)
	}
	return s, err
}

func apply(rules string) error {
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader("table " + table + " {}\ndelete table " + table + "\n" + rules)
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, said)
	}
	return nil
}

func main() {
	if len(os.Args) != 5 {
		log.Fatal("network-policy URL CA CERTIFICATE KEY")
	}
	authority, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(os.Args[3], os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	api := cluster{url: os.Args[1], http: http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}},
	}}
	last := ""
	for {
		seen, err := api.read()
		if err != nil {
			log.Print(err) // what is in force stays in force
		} else if rules := seen.rules(); rules != last {
			if err := apply(rules); err != nil {
				log.Print(err)
			} else {
				log.Print("applied")
			}
			last = rules // a refused table is reported once
		}
		time.Sleep(250 * time.Millisecond)
	}
}
