/* A TLS server in Java whose keys are a PKCS#11 token's, and before that a check of what SunPKCS11 does
 * with the token against what the JDK does by itself. For run-java.sh.
 *
 *   java TokenServer.java CONFIGURATION PIN_FILE ADDRESS PORT
 *
 * It says "checked" when all agreed, then "listening", and serves until it is ended. */
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Security;
import java.security.Signature;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.util.Arrays;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.SecretKey;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

final class TokenServer {
    private static final int THREADS = 4;
    private static final byte[] DATA = new byte[5000];

    private final Provider token;
    private final KeyStore keys;
    private final char[] pin;

    private TokenServer(String configuration, char[] pin) throws Exception {
        this.pin = pin;
        token = Security.getProvider("SunPKCS11").configure(configuration);
        Security.addProvider(token);
        keys = KeyStore.getInstance("PKCS11", token);
        keys.load(null, pin);
    }

    private static void require(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException("not so: " + what);
        }
    }

    private PrivateKey privateKey(String alias) throws GeneralSecurityException {
        return (PrivateKey) keys.getKey(alias, null);
    }

    private PublicKey publicKey(String alias) throws GeneralSecurityException {
        return keys.getCertificate(alias).getPublicKey();
    }

    private static byte[] sign(Provider provider, String name, PSSParameterSpec pss, PrivateKey key)
        throws GeneralSecurityException {
        Signature signature = Signature.getInstance(name, provider);

        signature.initSign(key);
        if (pss != null) {
            signature.setParameter(pss);
        }
        signature.update(DATA);
        return signature.sign();
    }

    private static boolean verify(Provider provider, String name, PSSParameterSpec pss, PublicKey key,
                                  byte[] value) throws GeneralSecurityException {
        Signature signature = Signature.getInstance(name, provider);

        signature.initVerify(key);
        if (pss != null) {
            signature.setParameter(pss);
        }
        signature.update(DATA);
        return signature.verify(value);
    }

    /* What the token signs, the JDK verifies; what the JDK signs, the provider verifies. */
    private void checkSignature(String name, PSSParameterSpec pss, String alias, KeyPair own,
                                String software) throws GeneralSecurityException {
        Provider jdk = Security.getProvider(software);
        byte[] value = sign(token, name, pss, privateKey(alias));

        require(verify(jdk, name, pss, publicKey(alias), value), name + " of the token");
        value[value.length - 1] ^= 1;
        require(!verify(jdk, name, pss, publicKey(alias), value), name + " changed");
        value = sign(jdk, name, pss, own.getPrivate());
        require(verify(token, name, pss, own.getPublic(), value), name + " of the JDK");
    }

    private void checkSignatures() throws GeneralSecurityException {
        PSSParameterSpec pss =
            new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1);
        KeyPairGenerator rsa = KeyPairGenerator.getInstance("RSA", "SunRsaSign");
        KeyPairGenerator ec = KeyPairGenerator.getInstance("EC", "SunEC");
        KeyPair rsaPair;
        KeyPair ecPair;

        rsa.initialize(2048);
        rsaPair = rsa.generateKeyPair();
        ec.initialize(256);
        ecPair = ec.generateKeyPair();
        checkSignature("SHA256withRSA", null, "rsa", rsaPair, "SunRsaSign");
        checkSignature("SHA512withRSA", null, "rsa", rsaPair, "SunRsaSign");
        checkSignature("RSASSA-PSS", pss, "rsa", rsaPair, "SunRsaSign");
        checkSignature("SHA256withECDSA", null, "ec", ecPair, "SunEC");
        checkSignature("SHA384withECDSA", null, "ec", ecPair, "SunEC");
    }

    private void checkDecryption() throws GeneralSecurityException {
        Cipher jdk = Cipher.getInstance("RSA/ECB/PKCS1Padding", "SunJCE");
        Cipher ours = Cipher.getInstance("RSA/ECB/PKCS1Padding", token);
        byte[] secret = Arrays.copyOf(DATA, 100);

        jdk.init(Cipher.ENCRYPT_MODE, publicKey("rsa"));
        ours.init(Cipher.DECRYPT_MODE, privateKey("rsa"));
        require(Arrays.equals(secret, ours.doFinal(jdk.doFinal(secret))), "RSA decryption");
    }

    /* One key in both: the token's ciphertext is the JDK's, byte for byte, and is read back. */
    private void checkCipher(String name, java.security.spec.AlgorithmParameterSpec spec, byte[] data)
        throws GeneralSecurityException {
        SecretKey key = new SecretKeySpec(Arrays.copyOf(DATA, 32), "AES");
        SecretKey there = SecretKeyFactory.getInstance("AES", token).translateKey(key);
        Cipher jdk = Cipher.getInstance(name, "SunJCE");
        Cipher ours = Cipher.getInstance(name, token);
        byte[] encrypted;

        jdk.init(Cipher.ENCRYPT_MODE, key, spec);
        ours.init(Cipher.ENCRYPT_MODE, there, spec);
        encrypted = ours.doFinal(data);
        require(Arrays.equals(jdk.doFinal(data), encrypted), name);
        ours.init(Cipher.DECRYPT_MODE, there, spec);
        require(Arrays.equals(data, ours.doFinal(encrypted)), name + " back");
    }

    private void checkSecrets() throws GeneralSecurityException {
        IvParameterSpec iv = new IvParameterSpec(Arrays.copyOf(DATA, 16));
        SecretKey key = new SecretKeySpec(Arrays.copyOf(DATA, 32), "HmacSHA256");
        Mac jdk = Mac.getInstance("HmacSHA256", "SunJCE");
        Mac ours = Mac.getInstance("HmacSHA256", token);

        checkCipher("AES/CBC/NoPadding", iv, Arrays.copyOf(DATA, 4096));
        checkCipher("AES/CBC/PKCS5Padding", iv, DATA);
        checkCipher("AES/GCM/NoPadding", new GCMParameterSpec(128, DATA, 0, 12), DATA);
        jdk.init(key);
        ours.init(key);
        require(Arrays.equals(jdk.doFinal(DATA), ours.doFinal(DATA)), "HMAC");
        require(Arrays.equals(MessageDigest.getInstance("SHA-256", "SUN").digest(DATA),
                              MessageDigest.getInstance("SHA-256", token).digest(DATA)),
                "SHA-256");
    }

    private void serveOne(SSLSocket socket) {
        try (socket) {
            socket.setSoTimeout(60000);
            socket.startHandshake();
            socket.getInputStream().read();
        } catch (Exception error) {
            System.out.println("handshake: " + error);
        }
    }

    private void serve(String address, int port) throws Exception {
        KeyManagerFactory managers = KeyManagerFactory.getInstance("NewSunX509");
        SSLContext context = SSLContext.getInstance("TLS");
        ExecutorService threads = Executors.newFixedThreadPool(THREADS);

        managers.init(new javax.net.ssl.KeyStoreBuilderParameters(KeyStore.Builder.newInstance(
            keys, new KeyStore.PasswordProtection(pin))));
        context.init(managers.getKeyManagers(), null, null);
        try (SSLServerSocket server =
                 (SSLServerSocket) context.getServerSocketFactory().createServerSocket(
                     port, 50, InetAddress.getByName(address))) {
            System.out.println("listening");
            while (true) {
                SSLSocket socket = (SSLSocket) server.accept();

                threads.execute(() -> serveOne(socket));
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        char[] pin = Files.readString(Path.of(arguments[1])).strip().toCharArray();
        TokenServer server = new TokenServer(arguments[0], pin);

        SecureRandom.getInstance("PKCS11", server.token).nextBytes(DATA);
        server.checkSignatures();
        server.checkDecryption();
        server.checkSecrets();
        System.out.println("checked");
        server.serve(arguments[2], Integer.parseInt(arguments[3]));
    }
}
