package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// The requests that two user interfaces send at their start and for their pages, in their order, and what they need to
// find in the answers: Redpanda Console (franz-go) and kafka-ui (kafbat; the admin client of Java, which negotiates the
// same versions of these keys). Their sources: backend/pkg/console and ReactiveAdminClient.java.
type console struct {
	*kgo.Client
	name, topic, group string
	ends               int64 // records of each partition of the topic
}

// ask sends one request and panics on what no page could be shown with.
func ask[R kmsg.Response](c console, request kmsg.Request) R {
	answer, err := c.Request(limited(), request)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", kmsg.NameForKey(request.Key()), err))
	}
	return answer.(R)
}

func fine(code int16, what string) {
	if err := kerr.ErrorForCode(code); err != nil {
		panic(what + ": " + err.Error())
	}
}

func sure(condition bool, what string, details ...any) {
	if !condition {
		panic(what + fmt.Sprintf(": %+.300v", details))
	}
}

// brokers is the cluster as Metadata shows it: each broker has an address, the controller is one of them, each partition
// has a leader that is one of them and a full set of replicas in sync; an internal topic is marked as one.
func (c console) brokers() (controller int32, topics []string) {
	request := kmsg.NewPtrMetadataRequest() // no list: all topics
	answer := ask[*kmsg.MetadataResponse](c, request)
	nodes := map[int32]bool{}
	for _, broker := range answer.Brokers {
		sure(broker.Host != "" && broker.Port > 0, "a broker's address", broker)
		nodes[broker.NodeID] = true
	}
	sure(nodes[answer.ControllerID], "the controller is none of the brokers", answer.ControllerID, nodes)
	sure(answer.ClusterID != nil && *answer.ClusterID != "", "no cluster id")
	internal := map[string]bool{}
	for _, topic := range answer.Topics {
		fine(topic.ErrorCode, "metadata of "+*topic.Topic)
		sure(topic.TopicID != [16]byte{}, "no topic id", *topic.Topic)
		for _, partition := range topic.Partitions {
			fine(partition.ErrorCode, "partition of "+*topic.Topic)
			sure(nodes[partition.Leader] && len(partition.ISR) == len(partition.Replicas) && len(partition.Replicas) > 0 &&
				len(partition.OfflineReplicas) == 0, "a partition", partition)
		}
		topics = append(topics, *topic.Topic)
		internal[*topic.Topic] = topic.IsInternal
	}
	sure(internal["__consumer_offsets"], "__consumer_offsets is not there or not internal", internal)
	marked, there := internal[c.topic]
	sure(there && !marked, "the topic is not there or internal", internal)
	return answer.ControllerID, topics
}

// configs is DescribeConfigs of some resources with synonyms and documentation: {resource: {setting: value}}.
func (c console) configs(kind kmsg.ConfigResourceType, keys []string, names ...string) map[string]map[string]string {
	request := kmsg.NewPtrDescribeConfigsRequest()
	request.IncludeSynonyms, request.IncludeDocumentation = true, true
	for _, name := range names {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName, resource.ConfigNames = kind, name, keys
		request.Resources = append(request.Resources, resource)
	}
	told := map[string]map[string]string{}
	for _, resource := range ask[*kmsg.DescribeConfigsResponse](c, request).Resources {
		fine(resource.ErrorCode, "settings of "+resource.ResourceName)
		values := map[string]string{}
		for _, config := range resource.Configs {
			sure(config.ConfigType > 0 && config.Source > 0, "a setting without type or source", config)
			sure(config.Source == kmsg.ConfigSourceDefaultConfig || len(config.ConfigSynonyms) > 0, "a setting without synonyms", config)
			if config.Value != nil {
				values[config.Name] = *config.Value
			}
		}
		told[resource.ResourceName] = values
	}
	want(len(told), len(names), "resources that were described")
	return told
}

func (c console) logDirs() {
	sizes, dirs := map[string]int64{}, ask[*kmsg.DescribeLogDirsResponse](c, kmsg.NewPtrDescribeLogDirsRequest()).Dirs
	for _, dir := range dirs {
		fine(dir.ErrorCode, "log dir "+dir.Dir)
		for _, topic := range dir.Topics {
			for _, partition := range topic.Partitions {
				sure(!partition.IsFuture && partition.Size >= 0, "a replica", topic.Topic, partition)
				sizes[topic.Topic] += partition.Size
			}
		}
	}
	sure(sizes[c.topic] > int64(partitions)*c.ends, "the topic's size", sizes)
}

// offsets is ListOffsets of the topic's partitions at one time (-1 latest, -2 earliest).
func (c console) offsets(timestamp int64) map[int32]int64 {
	request := kmsg.NewPtrListOffsetsRequest()
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = c.topic
	for partition := range int32(partitions) {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = partition, timestamp
		topic.Partitions = append(topic.Partitions, one)
	}
	request.Topics = append(request.Topics, topic)
	offsets := map[int32]int64{}
	for _, topic := range ask[*kmsg.ListOffsetsResponse](c, request).Topics {
		for _, partition := range topic.Partitions {
			fine(partition.ErrorCode, "offset of a partition")
			offsets[partition.Partition] = partition.Offset
		}
	}
	want(len(offsets), partitions, "partitions with an offset")
	return offsets
}

// groups is the page of consumer groups: list, describe, committed offsets of all topics at once.
func (c console) groups(state string, committed int64) {
	listed := map[string]string{}
	for _, group := range ask[*kmsg.ListGroupsResponse](c, kmsg.NewPtrListGroupsRequest()).Groups {
		listed[group.Group] = group.ProtocolType + " " + group.GroupState
	}
	want(listed[c.group], "consumer "+state, "the listed group")
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{c.group}
	for _, group := range ask[*kmsg.DescribeGroupsResponse](c, describe).Groups {
		fine(group.ErrorCode, "the described group")
		want(group.State, state, "its state")
		owned := map[int32]bool{}
		for _, member := range group.Members {
			sure(member.MemberID != "" && member.ClientID != "" && member.ClientHost != "", "a member", member)
			var assignment kmsg.ConsumerMemberAssignment
			check(assignment.ReadFrom(member.MemberAssignment))
			for _, topic := range assignment.Topics {
				for _, partition := range topic.Partitions {
					owned[partition] = true
				}
			}
		}
		want(len(owned), map[string]int{"Stable": partitions, "Empty": 0}[state], "partitions that a member owns")
	}
	fetch := kmsg.NewPtrOffsetFetchRequest()
	of := kmsg.NewOffsetFetchRequestGroup()
	of.Group, of.Topics = c.group, nil
	fetch.Groups = append(fetch.Groups, of)
	count := 0
	for _, group := range ask[*kmsg.OffsetFetchResponse](c, fetch).Groups {
		fine(group.ErrorCode, "committed offsets")
		for _, topic := range group.Topics {
			for _, partition := range topic.Partitions {
				fine(partition.ErrorCode, "a committed offset")
				want(partition.Offset, committed, "committed offset")
				count++
			}
		}
	}
	want(count, partitions, "partitions with a committed offset")
}

// acls has to say that there is no authorizer, as a Kafka without one does: the pages are hidden then.
func (c console) acls() {
	request := kmsg.NewPtrDescribeACLsRequest()
	request.ResourceType, request.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	request.Operation, request.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	answer := ask[*kmsg.DescribeACLsResponse](c, request)
	want(kerr.ErrorForCode(answer.ErrorCode), kerr.SecurityDisabled, "rules of access")
}

func (c console) versions() (*kmsg.ApiVersionsResponse, *kversion.Versions) {
	request := kmsg.NewPtrApiVersionsRequest()
	request.ClientSoftwareName, request.ClientSoftwareVersion = c.name, "1"
	answer := ask[*kmsg.ApiVersionsResponse](c, request)
	fine(answer.ErrorCode, "ApiVersions")
	return answer, kversion.FromApiVersionsResponse(answer)
}

// redpanda is Redpanda Console: GetEndpointCompatibility, then the pages.
func (c console) redpanda(state string, committed int64) {
	_, versions := c.versions()
	sure(versions.VersionGuess() != "", "a version")
	for _, key := range []kmsg.Key{kmsg.DescribeConfigs, kmsg.DescribeGroups, kmsg.ListGroups, kmsg.DeleteRecords,
		kmsg.OffsetCommit, kmsg.DeleteGroups, kmsg.OffsetDelete, kmsg.ListPartitionReassignments,
		kmsg.IncrementalAlterConfigs, kmsg.DescribeUserSCRAMCredentials, kmsg.DescribeLogDirs} {
		_, served := versions.LookupMaxKeyVersion(int16(key))
		sure(served, "a page needs what is not served", kmsg.NameForKey(int16(key)))
	}
	controller, topics := c.brokers()
	c.logDirs()
	broker := strconv.Itoa(int(controller))
	sure(len(c.configs(kmsg.ConfigResourceTypeBroker, nil, broker)[broker]) > 5, "settings of the broker")
	for topic, told := range c.configs(kmsg.ConfigResourceTypeTopic, []string{"cleanup.policy"}, topics...) {
		sure(len(told) == 1 && told["cleanup.policy"] != "", "cleanup.policy", topic, told)
	}
	want(c.configs(kmsg.ConfigResourceTypeTopic, nil, c.topic)[c.topic]["retention.ms"], "7200000", "a setting of the topic")
	for partition, end := range c.offsets(-1) {
		want(end, c.ends, fmt.Sprint("the end of partition ", partition))
	}
	c.offsets(-2)
	c.groups(state, committed)
	c.acls()
	answer := ask[*kmsg.ListPartitionReassignmentsResponse](c, kmsg.NewPtrListPartitionReassignmentsRequest())
	fine(answer.ErrorCode, "reassignments")
	want(len(answer.Topics), 0, "reassignments")
	users := ask[*kmsg.DescribeUserSCRAMCredentialsResponse](c, kmsg.NewPtrDescribeUserSCRAMCredentialsRequest())
	fine(users.ErrorCode, "users")
	if _, served := versions.LookupMaxKeyVersion(int16(kmsg.DescribeClientQuotas)); served {
		quotas := ask[*kmsg.DescribeClientQuotasResponse](c, kmsg.NewPtrDescribeClientQuotasRequest())
		fine(quotas.ErrorCode, "quotas")
	}
}

// kafkaUI is kafka-ui: ReactiveAdminClient.create, then what StatisticsService collects every 30 s, then the pages.
func (c console) kafkaUI(state string, committed int64) {
	cluster := kmsg.NewPtrDescribeClusterRequest()
	told := ask[*kmsg.DescribeClusterResponse](c, cluster)
	fine(told.ErrorCode, "DescribeCluster")
	sure(told.ClusterID != "" && len(told.Brokers) > 0 && told.Brokers[0].Host != "", "the cluster", told)
	controller := strconv.Itoa(int(told.ControllerID))
	settings := c.configs(kmsg.ConfigResourceTypeBroker, nil, controller)[controller]
	sure(settings["delete.topic.enable"] != "false", "topics may not be deleted")
	answer, _ := c.versions()
	var level int16
	for _, feature := range answer.FinalizedFeatures {
		if feature.Name == "metadata.version" {
			level = feature.MaxVersionLevel
		}
	}
	// Without either it takes the broker for 1.0 and changes settings by AlterConfigs, which resets all others.
	protocol, _ := strconv.ParseFloat(strings.SplitN(settings["inter.broker.protocol.version"], "-", 2)[0], 32)
	sure(level > 0 || protocol >= 2.6, "neither metadata.version nor inter.broker.protocol.version tells the features", settings)
	c.acls()
	cluster.IncludeClusterAuthorizedOperations = true
	fine(ask[*kmsg.DescribeClusterResponse](c, cluster).ErrorCode, "DescribeCluster with operations")

	_, topics := c.brokers()
	describe := kmsg.NewPtrDescribeTopicPartitionsRequest()
	for _, name := range topics {
		topic := kmsg.NewDescribeTopicPartitionsRequestTopic()
		topic.Topic = name
		describe.Topics = append(describe.Topics, topic)
	}
	described := ask[*kmsg.DescribeTopicPartitionsResponse](c, describe).Topics
	want(len(described), len(topics), "topics that were described")
	for _, topic := range described {
		fine(topic.ErrorCode, "description of "+*topic.Topic)
		sure(len(topic.Partitions) > 0 && len(topic.Partitions[0].ISR) > 0, "a described topic", topic)
	}
	want(c.configs(kmsg.ConfigResourceTypeTopic, nil, topics...)[c.topic]["retention.ms"], "7200000", "a setting of the topic")
	c.logDirs()
	c.offsets(-2)
	for partition, end := range c.offsets(-1) {
		want(end, c.ends, fmt.Sprint("the end of partition ", partition))
	}
	c.groups(state, committed)
	quorum := kmsg.NewPtrDescribeQuorumRequest()
	metadata := kmsg.NewDescribeQuorumRequestTopic()
	metadata.Topic = "__cluster_metadata"
	metadata.Partitions = append(metadata.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	quorum.Topics = append(quorum.Topics, metadata)
	voters := ask[*kmsg.DescribeQuorumResponse](c, quorum)
	fine(voters.ErrorCode, "the quorum")
	sure(len(voters.Topics) == 1 && len(voters.Topics[0].Partitions[0].CurrentVoters) > 0, "voters", voters)
	producers := kmsg.NewPtrDescribeProducersRequest()
	of := kmsg.NewDescribeProducersRequestTopic()
	of.Topic, of.Partitions = c.topic, []int32{0}
	producers.Topics = append(producers.Topics, of)
	active := ask[*kmsg.DescribeProducersResponse](c, producers).Topics[0].Partitions[0]
	fine(active.ErrorCode, "active producers")
	sure(len(active.ActiveProducers) > 0 && active.ActiveProducers[0].ProducerID >= 0, "active producers", active)
}

// actions are what a person does on the pages: make a topic, change it, set a group back, empty and remove all that.
func (c console) actions(f franz) {
	admin, ctx, name := kadm.NewClient(c.Client), limited(), c.name+"-made"
	for range 2 { // kafka-ui's "recreate topic": the same name again at once
		made, err := admin.CreateTopic(ctx, 2, -1, nil, name)
		check(err)
		check(made.Err)
		value := "compact"
		changed, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "cleanup.policy", Value: &value},
			{Name: "retention.ms", Value: kadm.StringPtr("60000000")}}, name)
		check(err)
		check(changed[0].Err)
		changed, err = admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "retention.ms"}}, name)
		check(err)
		check(changed[0].Err)
		until("changed setting", func() bool { // Kafka's controller is ahead of its broker
			told, err := admin.DescribeTopicConfigs(ctx, name)
			if err != nil || told[0].Err != nil {
				return false
			}
			for _, config := range told[0].Configs {
				if config.Key == "cleanup.policy" {
					return config.MaybeValue() == value
				}
			}
			return false
		})
		grown, err := admin.CreatePartitions(ctx, 1, name)
		check(err)
		check(grown.Error())
		form := f.open() // of its own: the other knows the topic of the first round
		check(form.ProduceSync(ctx, &kgo.Record{Topic: name, Key: []byte("k"), Value: []byte("typed into a form")}).FirstErr())
		form.Close()
		gone, err := admin.DeleteTopics(ctx, name)
		check(err)
		check(gone.Error())
	}
	var offsets kadm.Offsets
	offsets.AddOffset(c.topic, 1, 7, -1)
	altered, err := admin.CommitOffsets(ctx, c.group, offsets)
	check(err)
	check(altered.Error())
	fetched, err := admin.FetchOffsets(ctx, c.group)
	check(err)
	moved, _ := fetched.Lookup(c.topic, 1)
	want(moved.At, 7, "the edited offset")
	removed, err := admin.DeleteOffsets(ctx, c.group, kadm.TopicsSet{c.topic: {0: {}}})
	check(err)
	check(removed.Error())
	deleted, err := admin.DeleteGroups(ctx, c.group)
	check(err)
	check(deleted.Error())
	offsets = kadm.Offsets{}
	offsets.AddOffset(c.topic, 2, 30, -1)
	emptied, err := admin.DeleteRecords(ctx, offsets)
	check(err)
	check(emptied.Error())
	want(c.offsets(-2)[2], 30, "the start after records were deleted")
}

// messages are the pages that show records: the newest ones of each partition, and those since a time.
func (c console) messages(f franz, since time.Time) {
	show := func(from map[int32]int64, count int64) {
		starts := map[int32]kgo.Offset{}
		for partition, offset := range from {
			starts[partition] = kgo.NewOffset().At(offset)
		}
		reader := f.open(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.topic: starts}))
		defer reader.Close()
		seen, ctx := map[int32]int64{}, limited()
		for total := int64(0); total < count*partitions && ctx.Err() == nil; {
			fetches := reader.PollFetches(ctx)
			check(fetches.Err())
			fetches.EachRecord(func(r *kgo.Record) {
				want(r.Offset, from[r.Partition]+seen[r.Partition], "offset of a shown record")
				want(string(r.Value), fmt.Sprintf("%d-%d", r.Partition, r.Offset), "a shown record")
				seen[r.Partition]++
				total++
			})
		}
		for partition := range from {
			want(seen[partition], count, fmt.Sprint("records shown of partition ", partition))
		}
	}
	newest := c.offsets(-1)
	for partition := range newest {
		newest[partition] -= 5
	}
	show(newest, 5)
	show(c.offsets(since.UnixMilli()), c.ends/2)
}

func consoles(name, bootstrap string) {
	f := franz{bootstrap}
	c := console{f.open(kgo.ClientID(name)), name, name + "-topic", "pair-" + name, 100}
	defer c.Close()
	pages := c.redpanda
	if name == "kafka-ui" {
		pages = c.kafkaUI
	}
	var since time.Time
	var m *member
	step("topic", func() {
		f.makeTopics(map[string]int32{c.topic: partitions})
		_, err := kadm.NewClient(c.Client).AlterTopicConfigs(limited(),
			[]kadm.AlterConfig{{Name: "retention.ms", Value: kadm.StringPtr("7200000")}}, c.topic)
		check(err)
		p := f.producer("none", true)
		defer p.close()
		for _, first := range []int{0, 50} {
			since = time.Now().Add(time.Millisecond)
			time.Sleep(5 * time.Millisecond) // so that the second half is younger, by the clock in milliseconds
			for partition := range int32(partitions) {
				records, _ := numbered(partition, first, 50)
				p.send(c.topic, records, nil)
			}
		}
		m = f.join(c.group, c.topic, "")
		until("reading of the group's member", func() bool {
			for partition := range int32(partitions) {
				if len(m.values(partition)) < int(c.ends) {
					return false
				}
			}
			return true
		})
		m.commit()
	})
	step("admin", func() { pages("Stable", c.ends) })
	step("read-back", func() { c.messages(f, since) })
	step("go-on", func() {
		fmt.Println("kill")
		awaitKill()
		m.close()
		until("group without members", func() bool {
			groups, err := kadm.NewClient(c.Client).DescribeGroups(limited(), c.group)
			return err == nil && groups[c.group].State == "Empty"
		})
		pages("Empty", c.ends) // by the client that lived through the kill
		c.messages(f, since)
		c.actions(f)
	})
}
