// Kafka's own encoder and decoder, for harnesses that speak the protocol themselves:
//
//   java -cp 'JARS/*' Messages.java
//
// A line of JSON on stdin is answered by a line on stdout.
//   {"key": 11, "version": 9, "id": 7, "body": {...}}   a request's fields, Kafka's default where one is missing:
//                                                       the frame without its length, in Base64
//   {"key": 11, "version": 9, "answer": "BASE64"}       a frame without its length: the answer's fields as JSON; one
//                                                       with bytes behind its end has "$left", their number
// Bytes and record batches are Base64. What does not work is answered {"$error": "..."}.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;

public class Messages {
    static Object value(Type type, JsonNode node) throws Exception {
        if (node.isNull()) return null;
        if (type instanceof ParameterizedType) {
            List<Object> list = new ArrayList<>();
            for (JsonNode one : node) list.add(value(((ParameterizedType) type).getActualTypeArguments()[0], one));
            return list;
        }
        Class<?> kind = (Class<?>) type;
        if (kind == String.class) return node.asText();
        if (kind == boolean.class) return node.asBoolean();
        if (kind == byte.class || kind == Byte.class) return (byte) node.asInt();
        if (kind == short.class || kind == Short.class) return (short) node.asInt();
        if (kind == int.class || kind == Integer.class) return node.asInt();
        if (kind == long.class || kind == Long.class) return node.asLong();
        if (kind == double.class) return node.asDouble();
        if (kind == Uuid.class) return Uuid.fromString(node.asText());
        if (kind == byte[].class) return node.binaryValue();
        if (kind == ByteBuffer.class) return ByteBuffer.wrap(node.binaryValue());
        if (kind == BaseRecords.class) return MemoryRecords.readableRecords(ByteBuffer.wrap(node.binaryValue()));
        Object made = kind.getDeclaredConstructor().newInstance();
        if (made instanceof Collection) {
            Type element = ((ParameterizedType) kind.getGenericSuperclass()).getActualTypeArguments()[0];
            @SuppressWarnings("unchecked") Collection<Object> collection = (Collection<Object>) made;
            for (JsonNode one : node) collection.add(value(element, one));
            return made;
        }
        fill(made, node);
        return made;
    }

    static void fill(Object made, JsonNode fields) throws Exception {
        for (Map.Entry<String, JsonNode> field : (Iterable<Map.Entry<String, JsonNode>>) fields::fields)
            setter(made, field.getKey()).invoke(made, value(
                setter(made, field.getKey()).getGenericParameterTypes()[0], field.getValue()));
    }

    static Method setter(Object made, String name) throws Exception {
        String wanted = "set" + Character.toUpperCase(name.charAt(0)) + name.substring(1);
        for (Method method : made.getClass().getMethods())
            if (method.getName().equals(wanted) && method.getParameterCount() == 1) return method;
        throw new NoSuchFieldException(made.getClass().getSimpleName() + " has no " + name);
    }

    static String encode(ApiKeys key, short version, JsonNode line) throws Exception {
        RequestHeaderData header = new RequestHeaderData().setRequestApiKey(key.id).setRequestApiVersion(version)
            .setCorrelationId(line.get("id").asInt()).setClientId(line.path("client").asText("differential"));
        Message body = key.messageType.newRequest();
        fill(body, line.get("body"));
        ByteBuffer head = MessageUtil.toByteBufferAccessor(header, key.requestHeaderVersion(version)).buffer();
        ByteBuffer rest = MessageUtil.toByteBufferAccessor(body, version).buffer();
        ByteBuffer frame = ByteBuffer.allocate(head.remaining() + rest.remaining()).put(head).put(rest);
        return "\"" + Base64.getEncoder().encodeToString(frame.array()) + "\"";
    }

    static String decode(ApiKeys key, short version, JsonNode line) throws Exception {
        ByteBuffer frame = ByteBuffer.wrap(line.get("answer").binaryValue());
        new ResponseHeaderData(new ByteBufferAccessor(frame), key.responseHeaderVersion(version));
        Message body = key.messageType.newResponse();
        body.read(new ByteBufferAccessor(frame), version);
        Class<?> converter = Class.forName(body.getClass().getName() + "JsonConverter");
        ObjectNode json = (ObjectNode) converter.getMethod("write", body.getClass(), short.class)
            .invoke(null, body, version);
        if (frame.hasRemaining()) json.put("$left", frame.remaining());
        return json.toString();
    }

    public static void main(String[] arguments) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String text; (text = in.readLine()) != null; ) {
            String answer;
            try {
                JsonNode line = mapper.readTree(text);
                ApiKeys key = ApiKeys.forId(line.get("key").asInt());
                short version = (short) line.get("version").asInt();
                answer = line.has("answer") ? decode(key, version, line) : encode(key, version, line);
            } catch (Exception | Error problem) {
                Throwable cause = problem.getCause() == null ? problem : problem.getCause();
                answer = mapper.createObjectNode().put("$error", cause.toString()).toString();
            }
            System.out.println(answer);
            System.out.flush();
        }
    }
}
