package main

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type franz struct{ bootstrap string }

func newFranz(bootstrap string) client { return franz{bootstrap} }

func (f franz) open(options ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(f.bootstrap), kgo.FetchMaxWait(200*time.Millisecond))...)
	check(err)
	return c
}

func limited() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	_ = cancel // the program is short
	return ctx
}

type franzProducer struct{ *kgo.Client }

func (f franz) producer(codec string, idempotent bool) producer {
	options := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(8000),
		kgo.ProducerBatchCompression(map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
			"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[codec])}
	if !idempotent {
		options = append(options, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	return franzProducer{f.open(options...)}
}

func (p franzProducer) send(topic string, records []record, atHalf func()) {
	var group sync.WaitGroup
	var lock sync.Mutex
	var failure error
	quarter := make(chan struct{})
	for i, r := range records {
		group.Add(1)
		message := &kgo.Record{Topic: topic, Partition: r.partition, Key: r.key, Value: r.value,
			Headers: []kgo.RecordHeader{{Key: "n", Value: []byte{byte(i)}}}}
		p.Produce(limited(), message, func(_ *kgo.Record, err error) {
			lock.Lock()
			if err != nil {
				failure = err
			}
			lock.Unlock()
			if i == len(records)/4 {
				close(quarter)
			}
			group.Done()
		})
		if atHalf != nil && i == len(records)/2 {
			<-quarter // some acknowledged, some in flight
			atHalf()
		}
	}
	group.Wait()
	check(failure)
}

func (p franzProducer) close() { p.Close() }

func (f franz) read(topic string, count int) []record {
	c := f.open(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	defer c.Close()
	records, ctx := []record{}, limited()
	for len(records) < count && ctx.Err() == nil {
		fetches := c.PollFetches(ctx)
		check(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) { records = append(records, record{0, r.Offset, r.Key, r.Value}) })
	}
	return records
}

func (f franz) makeTopics(topics map[string]int32) map[string]int32 {
	c := f.open()
	defer c.Close()
	admin := kadm.NewClient(c)
	for name, count := range topics {
		made, err := admin.CreateTopic(limited(), count, 1, nil, name)
		check(err)
		check(made.Err)
	}
	listed, err := admin.ListTopics(limited())
	check(err)
	counts := map[string]int32{}
	for name, topic := range listed {
		counts[name] = int32(len(topic.Partitions))
	}
	return counts
}

func (f franz) join(group, topic, instance string) *member {
	m := &member{owned: map[int32]bool{}}
	note := func(own bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			m.Lock()
			defer m.Unlock()
			for _, partition := range partitions[topic] {
				m.changes++
				m.owned[partition] = own
				if !own {
					delete(m.owned, partition)
				}
			}
		}
	}
	options := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(10 * time.Second),
		kgo.HeartbeatInterval(300 * time.Millisecond), kgo.OnPartitionsAssigned(note(true)),
		kgo.OnPartitionsRevoked(note(false)), kgo.OnPartitionsLost(note(false))}
	if instance != "" {
		options = append(options, kgo.InstanceID(instance))
	}
	c := f.open(options...)
	go func() {
		for {
			fetches := c.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			m.Lock()
			fetches.EachRecord(func(r *kgo.Record) { m.records = append(m.records, record{r.Partition, r.Offset, r.Key, r.Value}) })
			m.Unlock()
		}
	}()
	m.commit = func() { check(c.CommitUncommittedOffsets(limited())) }
	m.committed = func(partition int32) int64 {
		other := f.open()
		defer other.Close()
		offsets, err := kadm.NewClient(other).FetchOffsets(limited(), group)
		check(err)
		offset, _ := offsets.Lookup(topic, partition)
		check(offset.Err)
		return offset.At
	}
	m.close = c.Close
	return m
}

func (f franz) admin() {
	c := f.open()
	defer c.Close()
	admin, ctx := kadm.NewClient(c), limited()
	_, err := admin.CreateTopic(ctx, 1, 1, nil, "fr-admin")
	check(err)
	grown, err := admin.CreatePartitions(ctx, 2, "fr-admin")
	check(err)
	check(grown.Error())
	value := "7200000"
	_, err = admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: &value}}, "fr-admin")
	check(err)
	configs, err := admin.DescribeTopicConfigs(ctx, "fr-admin")
	check(err)
	for _, config := range configs[0].Configs {
		if config.Key == "retention.ms" {
			want(config.MaybeValue(), value, "retention.ms")
		}
	}
	ends, err := admin.ListEndOffsets(ctx, "fr-group")
	check(err)
	end, _ := ends.Lookup("fr-group", 3)
	want(end.Offset, 100, "the end of a partition")
	topics, err := admin.ListTopics(ctx)
	check(err)
	want(len(topics["fr-admin"].Partitions), 3, "partitions")
	lags, err := admin.Lag(ctx, "pair-fr-group")
	check(err)
	want(lags["pair-fr-group"].Lag.Total(), 0, "lag")
	listed, err := admin.ListGroups(ctx)
	check(err)
	want(listed["pair-fr-group"].ProtocolType, "consumer", "the listed group")
	var offsets kadm.Offsets
	offsets.AddOffset("fr-admin", 0, 0, -1)
	altered, err := admin.CommitOffsets(ctx, "fr-admin-group", offsets)
	check(err)
	check(altered.Error())
	deleted, err := admin.DeleteGroups(ctx, "fr-admin-group")
	check(err)
	check(deleted.Error())
	gone, err := admin.DeleteTopics(ctx, "fr-admin")
	check(err)
	check(gone.Error())
}
