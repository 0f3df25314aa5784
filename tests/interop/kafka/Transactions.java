// Transactions as Kafka's own producer writes them, committed and aborted, to one partition:
//
//   java -cp 'JARS/*' Transactions.java BOOTSTRAP TOPIC
//
// Prints the values that a read_committed consumer must see, a line each, in order.
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

public class Transactions {
    static KafkaProducer<String, String> producer(String bootstrap, String id, String codec) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("transactional.id", id);
        settings.put("compression.type", codec);
        settings.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        settings.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        KafkaProducer<String, String> producer = new KafkaProducer<>(settings);
        producer.initTransactions();
        return producer;
    }

    public static void main(String[] arguments) throws Exception {
        String topic = arguments[1];
        List<KafkaProducer<String, String>> producers = new ArrayList<>();
        for (String codec : new String[] {"none", "zstd", "lz4"})
            producers.add(producer(arguments[0], "tx-" + codec, codec));
        List<String> committed = new ArrayList<>();
        for (int round = 0; round < 20; round++) {
            // The transactions of a round lie across each other in the log.
            List<List<String>> written = new ArrayList<>();
            for (KafkaProducer<String, String> producer : producers) {
                producer.beginTransaction();
                written.add(new ArrayList<>());
            }
            for (int part = 0; part < 3; part++) {
                for (int p = 0; p < producers.size(); p++) {
                    boolean aborts = (round + p) % 3 == 0;
                    for (int i = 0; i <= part; i++) {
                        String value = (aborts ? "aborted " : "committed ") + round + "." + p + "." + part + "." + i;
                        producers.get(p).send(new ProducerRecord<>(topic, 0, "k", value));
                        if (!aborts) committed.add(value);
                    }
                    producers.get(p).flush();  // so that the order in the log is the order here
                }
            }
            for (int p = 0; p < producers.size(); p++) {
                if ((round + p) % 3 == 0)
                    producers.get(p).abortTransaction();
                else
                    producers.get(p).commitTransaction();
            }
        }
        for (KafkaProducer<String, String> producer : producers) producer.close();
        for (String value : committed) System.out.println(value);
    }
}
