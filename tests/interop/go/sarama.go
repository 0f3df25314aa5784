package main

import (
	"context"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

type saramaClient struct{ brokers []string }

func newSarama(bootstrap string) client { return saramaClient{[]string{bootstrap}} }

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Metadata.Retry.Max, config.Metadata.Retry.Backoff = 100, 100*time.Millisecond
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes, config.Producer.Return.Errors = true, true
	config.Producer.Retry.Max, config.Producer.Retry.Backoff = 100, 100*time.Millisecond
	config.Producer.Flush.MaxMessages = 25
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.MaxWaitTime = 200 * time.Millisecond
	config.Consumer.Retry.Backoff = 200 * time.Millisecond
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	return config
}

type saramaProducer struct{ sarama.AsyncProducer }

func (s saramaClient) producer(codec string, idempotent bool) producer {
	config := saramaConfig()
	config.Producer.Idempotent = idempotent
	config.Net.MaxOpenRequests = 1
	check(config.Producer.Compression.UnmarshalText([]byte(codec)))
	p, err := sarama.NewAsyncProducer(s.brokers, config)
	check(err)
	return saramaProducer{p}
}

func (p saramaProducer) send(topic string, records []record, atHalf func()) {
	var failure error
	var group sync.WaitGroup
	group.Add(1)
	quarter := make(chan struct{})
	go func() {
		defer group.Done()
		for i := range records {
			select {
			case <-p.Successes():
			case problem := <-p.Errors():
				failure = problem
			}
			if i == len(records)/4 {
				close(quarter)
			}
		}
	}()
	for i, r := range records {
		message := &sarama.ProducerMessage{Topic: topic, Partition: r.partition, Value: sarama.ByteEncoder(r.value),
			Headers: []sarama.RecordHeader{{Key: []byte("n"), Value: []byte{byte(i)}}}}
		if r.key != nil {
			message.Key = sarama.ByteEncoder(r.key)
		}
		p.Input() <- message
		if atHalf != nil && i == len(records)/2 {
			<-quarter // some acknowledged, some in flight
			atHalf()
		}
	}
	group.Wait()
	check(failure)
}

func (p saramaProducer) close() { check(p.Close()) }

func (s saramaClient) read(topic string, count int) []record {
	c, err := sarama.NewConsumer(s.brokers, saramaConfig())
	check(err)
	defer c.Close()
	part, err := c.ConsumePartition(topic, 0, sarama.OffsetOldest)
	check(err)
	defer part.Close()
	records, end := []record{}, time.After(60*time.Second)
	for len(records) < count {
		select {
		case r := <-part.Messages():
			records = append(records, record{0, r.Offset, r.Key, r.Value})
		case <-end:
			return records
		}
	}
	return records
}

func (s saramaClient) cluster() sarama.ClusterAdmin {
	admin, err := sarama.NewClusterAdmin(s.brokers, saramaConfig())
	check(err)
	return admin
}

func (s saramaClient) makeTopics(topics map[string]int32) map[string]int32 {
	admin := s.cluster()
	defer admin.Close()
	for name, count := range topics {
		check(admin.CreateTopic(name, &sarama.TopicDetail{NumPartitions: count, ReplicationFactor: 1}, false))
	}
	listed, err := admin.ListTopics()
	check(err)
	counts := map[string]int32{}
	for name, topic := range listed {
		counts[name] = topic.NumPartitions
	}
	return counts
}

// saramaMember is the handler of a group's sessions.
type saramaMember struct {
	*member
	topic   string
	session sarama.ConsumerGroupSession
}

func (m *saramaMember) Setup(session sarama.ConsumerGroupSession) error {
	m.Lock()
	defer m.Unlock()
	m.session, m.owned = session, map[int32]bool{}
	m.changes++
	for _, partition := range session.Claims()[m.topic] {
		m.owned[partition] = true
	}
	return nil
}

func (m *saramaMember) Cleanup(sarama.ConsumerGroupSession) error {
	m.Lock()
	defer m.Unlock()
	m.owned = map[int32]bool{}
	return nil
}

func (m *saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case r, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.Lock()
			m.records = append(m.records, record{r.Partition, r.Offset, r.Key, r.Value})
			m.Unlock()
			session.MarkMessage(r, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

func (s saramaClient) join(group, topic, instance string) *member {
	config := saramaConfig()
	config.Consumer.Group.InstanceId = instance
	g, err := sarama.NewConsumerGroup(s.brokers, group, config)
	check(err)
	m := &saramaMember{member: &member{owned: map[int32]bool{}}, topic: topic}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if err := g.Consume(ctx, []string{topic}, m); err != nil {
				time.Sleep(100 * time.Millisecond) // the broker is away
			}
		}
	}()
	m.commit = func() { m.session.Commit() }
	m.committed = func(partition int32) int64 {
		admin := s.cluster()
		defer admin.Close()
		told, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {partition}})
		check(err)
		return told.GetBlock(topic, partition).Offset
	}
	m.close = func() {
		cancel()
		<-ended
		check(g.Close())
	}
	return m.member
}

func (s saramaClient) admin() {
	admin := s.cluster()
	defer admin.Close()
	check(admin.CreateTopic("sa-admin", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	check(admin.CreatePartitions("sa-admin", 3, nil, false))
	value := "7200000"
	check(admin.IncrementalAlterConfig(sarama.TopicResource, "sa-admin", map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false))
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "sa-admin",
		ConfigNames: []string{"retention.ms"}})
	check(err)
	want(entries[0].Value, value, "retention.ms")
	topics, err := admin.DescribeTopics([]string{"sa-admin"})
	check(err)
	want(len(topics[0].Partitions), 3, "partitions")
	check(admin.DeleteRecords("sa-group", map[int32]int64{0: 10}))
	groups, err := admin.ListConsumerGroups()
	check(err)
	want(groups["pair-sa-group"], "consumer", "the listed group")
	told, err := admin.DescribeConsumerGroups([]string{"pair-sa-group"})
	check(err)
	want(int16(told[0].ErrorCode), 0, "the described group")
	offsets, err := admin.ListConsumerGroupOffsets("pair-sa-group", nil)
	check(err)
	want(offsets.GetBlock("sa-group", 3).Offset, 100, "the committed offset")
	// Its static member is away, but has not left: the group is still subscribed.
	want(admin.DeleteConsumerGroupOffset("pair-sa-group", "sa-group", 3), sarama.ErrGroupSubscribedToTopic, "deleting an offset")
	check(admin.DeleteTopic("sa-admin"))
}
