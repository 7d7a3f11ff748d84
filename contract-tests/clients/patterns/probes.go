// Prints which probes match which patterns, as RE2 says.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
)

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var cases [][2]json.RawMessage
	if err := json.Unmarshal(data, &cases); err != nil {
		panic(err)
	}
	for _, one := range cases {
		var pattern string
		var probes []string
		if json.Unmarshal(one[0], &pattern) != nil || json.Unmarshal(one[1], &probes) != nil {
			panic("not a pattern with its probes")
		}
		compiled := regexp.MustCompile(pattern)
		for _, probe := range probes {
			if compiled.MatchString(probe) {
				fmt.Print("1")
			} else {
				fmt.Print("0")
			}
		}
		fmt.Println()
	}
}
