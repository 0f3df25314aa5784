// Makes java_*.batch with Kafka's own client library: one RecordBatch v2 per codec, 300 records each, and
// java_raw_snappy.block, a raw snappy block. Run: java -cp "kafka-clients.jar:..." GoldenBatches.java OUT
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;

public class GoldenBatches {
    static byte[] utf8(String s) { return s.getBytes(StandardCharsets.UTF_8); }

    public static void main(String[] args) throws Exception {
        for (CompressionType type : CompressionType.values()) {
            ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
            MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, RecordBatch.MAGIC_VALUE_V2,
                Compression.of(type).build(), TimestampType.CREATE_TIME, 0L);
            for (int i = 0; i < 300; i++) {
                byte[] key = i % 3 == 0 ? null : utf8("sensor-" + (i % 7));
                byte[] value = i % 50 == 49 ? null : utf8("{\"seq\":" + i + ",\"value\":" + (i * 7919 % 1000) + "}"
                    + "x".repeat(i % 40 == 0 ? 3000 : 0));
                Header[] headers = i % 10 == 0 ? new Header[] {new RecordHeader("h" + i, utf8("v")),
                                                                  new RecordHeader("n", (byte[]) null)} : new Header[0];
                builder.append(1700000000000L + i * 3, key, value, headers);
            }
            MemoryRecords records = builder.build();
            byte[] bytes = new byte[records.sizeInBytes()];
            records.buffer().get(bytes);
            Files.write(Path.of(args[0], "java_" + type.name + ".batch"), bytes);
        }
        byte[] plain = new byte[100000];
        for (int i = 0; i < plain.length; i++) plain[i] = (byte) ((i * i) >> 7);
        Files.write(Path.of(args[0], "java_raw_snappy.block"), org.xerial.snappy.Snappy.compress(plain));
    }
}
