// The steps of the interoperability matrix by clients written in Go; talks to lane.py's `converse`.
//
//	go_clients franz-go|sarama|redpanda-console|kafka-ui BOOTSTRAP
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

const partitions = 4

type record struct {
	partition  int32
	offset     int64
	key, value []byte
}

// producer sends records to the partition that each names and returns when all are acknowledged; atHalf runs while about
// half of them are in flight.
type producer interface {
	send(topic string, records []record, atHalf func())
	close()
}

type client interface {
	producer(codec string, idempotent bool) producer
	read(topic string, count int) []record
	makeTopics(map[string]int32) map[string]int32
	join(group, topic, instance string) *member
	admin()
}

// member is a consumer of a group with all that it read; its client fills it.
type member struct {
	sync.Mutex
	owned     map[int32]bool
	changes   int
	records   []record
	commit    func()
	committed func(partition int32) int64
	close     func()
}

func (m *member) owns() map[int32]bool {
	m.Lock()
	defer m.Unlock()
	own := map[int32]bool{}
	for partition := range m.owned {
		own[partition] = true
	}
	return own
}

// values is what it read of a partition, once each, in the order of offsets.
func (m *member) values(partition int32) []string {
	m.Lock()
	defer m.Unlock()
	at := map[int64]string{}
	offsets := []int64{}
	for _, r := range m.records {
		if _, twice := at[r.offset]; r.partition == partition && !twice {
			at[r.offset] = string(r.value)
			offsets = append(offsets, r.offset)
		}
	}
	sort.Slice(offsets, func(a, b int) bool { return offsets[a] < offsets[b] })
	values := []string{}
	for _, offset := range offsets {
		values = append(values, at[offset])
	}
	return values
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func want(have, wanted any, what string) {
	if fmt.Sprint(have) != fmt.Sprint(wanted) {
		panic(fmt.Sprintf("%s: %.300v where %.300v is due", what, have, wanted))
	}
}

func until(what string, condition func() bool) {
	end := time.Now().Add(60 * time.Second)
	for !condition() {
		if time.Now().After(end) {
			panic("no " + what + " within 60 s")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func step(name string, action func()) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Println("step", name, strings.ReplaceAll(fmt.Sprint(problem), "\n", " "))
			return
		}
		fmt.Println("step", name, "ok")
	}()
	action()
}

func makeRecords(seed int64, count int) []record {
	random := rand.New(rand.NewSource(seed))
	records := []record{}
	for i := range count {
		body := make([]byte, []int{0, 1, 7, 40, 200, 1100}[random.Intn(6)])
		if i%2 == 1 {
			random.Read(body)
		}
		value := append([]byte(fmt.Sprintf("%d.%d|", seed, i)), body...)
		records = append(records, record{key: []byte(fmt.Sprintf("key-%d", i%17)), value: value})
	}
	return records
}

func numbered(partition int32, first, count int) ([]record, []string) {
	records, values := []record{}, []string{}
	for i := first; i < first+count; i++ {
		values = append(values, fmt.Sprintf("%d-%d", partition, i))
		records = append(records, record{partition: partition, value: []byte(values[i-first])})
	}
	return records, values
}

var stdin = bufio.NewReader(os.Stdin)

func awaitKill() {
	line, err := stdin.ReadString('\n')
	check(err)
	want(strings.TrimSpace(line), "killed", "the harness says")
}

func group(c client, send func(topic string, first, count int), topic string) {
	settled := func(members []*member, share ...int) bool {
		all := map[int32]bool{}
		for i, m := range members {
			own := m.owns()
			if len(own) != share[i] {
				return false
			}
			for partition := range own {
				all[partition] = true
			}
		}
		return len(all) == partitions
	}
	send(topic, 0, 50)
	first := c.join("pair-"+topic, topic, "static-1")
	until("member that owns all", func() bool { return settled([]*member{first}, 4) })
	second := c.join("pair-"+topic, topic, "")
	until("split in halves", func() bool { return settled([]*member{first, second}, 2, 2) })
	send(topic, 50, 50)
	for partition := range int32(partitions) {
		owner := second
		if first.owns()[partition] {
			owner = first
		}
		until("end of reading", func() bool {
			values := owner.values(partition)
			return len(values) >= 50 && values[len(values)-1] == fmt.Sprintf("%d-99", partition)
		})
		values := owner.values(partition)
		_, wanted := numbered(partition, 50, 50)
		want(values[len(values)-50:], wanted, "what came after the split")
	}
	first.commit()
	second.commit()
	before, changes := first.owns(), second.changes
	first.close()
	again := c.join("pair-"+topic, topic, "static-1")
	until("return of the static member", func() bool { return settled([]*member{again, second}, 2, 2) })
	want(again.owns(), before, "what the static member owns")
	want(second.changes, changes, "rebalances that the other saw")
	want(len(again.records), 0, "records read again")
	second.close()
	until("inheritance of the one that left", func() bool { return settled([]*member{again}, 4) })
	again.close()
}

func resume(c client, send func(topic string, first, count int), topic string) {
	send(topic, 0, 40)
	living := c.join("resume-"+topic, topic, "")
	has := func(m *member, count int) func() bool {
		return func() bool {
			for partition := range int32(partitions) {
				if len(m.values(partition)) < count {
					return false
				}
			}
			return true
		}
	}
	until("first reading", has(living, 40))
	living.commit()
	fmt.Println("kill")
	awaitKill()
	send(topic, 40, 40)
	until("reading after the kill", has(living, 80))
	for partition := range int32(partitions) {
		_, wanted := numbered(partition, 0, 80)
		want(living.values(partition), wanted, "what the member that lived on read")
		want(living.committed(partition), 40, "the commit after the kill")
	}
	living.close()
	fresh := c.join("resume-"+topic, topic, "")
	until("reading of a new member", has(fresh, 40))
	for partition := range int32(partitions) {
		_, wanted := numbered(partition, 40, 40)
		want(fresh.values(partition), wanted, "what a new member read")
	}
	fresh.commit()
	fresh.close()
}

func main() {
	var c client
	prefix := "fr-"
	if os.Args[1] == "redpanda-console" || os.Args[1] == "kafka-ui" {
		consoles(os.Args[1], os.Args[2])
		return
	}
	if os.Args[1] == "sarama" {
		c, prefix = newSarama(os.Args[2]), "sa-"
	} else {
		c = newFranz(os.Args[2])
	}
	codecs := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	wrote := map[string][]record{}
	kept := c.producer("zstd", false)
	plain := c.producer("none", true)
	write := func(p producer, name string, records []record, atHalf func()) {
		p.send(prefix+name, records, atHalf)
		wrote[name] = append(wrote[name], records...)
	}
	verify := func(names ...string) {
		for _, name := range names {
			have := c.read(prefix+name, len(wrote[name]))
			want(len(have), len(wrote[name]), name+": records")
			for i, r := range have {
				if r.offset != int64(i) || !bytes.Equal(r.key, wrote[name][i].key) || !bytes.Equal(r.value, wrote[name][i].value) {
					panic(fmt.Sprintf("%s: the record %d came back changed, with offset %d", name, i, r.offset))
				}
			}
		}
	}
	send := func(topic string, first, count int) {
		for partition := range int32(partitions) {
			records, _ := numbered(partition, first, count)
			plain.send(topic, records, nil)
		}
	}
	step("topic", func() {
		wanted := map[string]int32{prefix + "idempotent": 1, prefix + "killed": 1, prefix + "group": 4, prefix + "resume": 4}
		for _, codec := range codecs {
			wanted[prefix+codec] = 1
		}
		listed := c.makeTopics(wanted)
		for name, count := range wanted {
			want(listed[name], count, name+": partitions")
		}
	})
	for seed, codec := range codecs {
		step(codec, func() {
			p := kept
			if codec != "zstd" {
				p = c.producer(codec, false)
				defer p.close()
			}
			write(p, codec, makeRecords(int64(seed), 400), nil)
		})
	}
	step("idempotent", func() {
		p := c.producer("none", true)
		defer p.close()
		write(p, "idempotent", makeRecords(6, 1500), nil)
		verify("idempotent")
	})
	step("read-back", func() { verify(append(codecs, "idempotent")...) })
	step("group", func() { group(c, send, prefix+"group") })
	step("admin", c.admin)
	step("sigkill", func() {
		p := c.producer("none", true)
		defer p.close()
		write(p, "killed", makeRecords(7, 3000), func() { fmt.Println("kill") })
		awaitKill()
		verify("killed")
	})
	step("resume", func() { resume(c, send, prefix+"resume") })
	step("go-on", func() {
		write(kept, "zstd", makeRecords(8, 300), nil) // a client that lived through the kill
		p := c.producer("gzip", false)
		defer p.close()
		write(p, "gzip", makeRecords(9, 300), nil)
		verify(append(codecs, "idempotent", "killed")...)
	})
	kept.close()
	plain.close()
}
