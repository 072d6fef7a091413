// A program of Go's world, as step-ca and Fabric are: crypto11 with keys of the token.
//
//	signer make MODULE PIN-FILE   makes keys and a certificate, and uses them in every way once
//	signer sign MODULE PIN-FILE   signs with both keys in many goroutines, each signature verified,
//	                              until SIGTERM; then says how many, and fails if one failed
package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/ThalesIgnite/crypto11"
)

const goroutines = 16

var (
	rsaID, ecID, aesID = []byte{1}, []byte{2}, []byte{3}
	rsaLabel, ecLabel  = []byte("go-rsa"), []byte("go-ec")
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func open(module, pinFile string) *crypto11.Context {
	pin, err := os.ReadFile(pinFile)
	must(err)
	context, err := crypto11.Configure(&crypto11.Config{
		Path: module, TokenLabel: "interop", Pin: string(pin), MaxSessions: goroutines})
	must(err)
	return context
}

func find(context *crypto11.Context, id, label []byte) crypto11.Signer {
	key, err := context.FindKeyPair(id, label)
	must(err)
	if key == nil {
		must(fmt.Errorf("key %s is not found", label))
	}
	return key
}

// What the token signs, Go's own code verifies.
func signs(key crypto.Signer, options crypto.SignerOpts) error {
	digest := make([]byte, sha256.Size)
	rand.Read(digest)
	signature, err := key.Sign(rand.Reader, digest, options)
	if err != nil {
		return err
	}
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		if pss, ok := options.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(public, crypto.SHA256, digest, signature, pss)
		}
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, signature)
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(public, digest, signature) {
			return errors.New("the ECDSA signature is wrong")
		}
	}
	return nil
}

func decrypts(key crypto11.Signer) error {
	public, text := key.Public().(*rsa.PublicKey), []byte("a secret")
	v15, err := rsa.EncryptPKCS1v15(rand.Reader, public, text)
	must(err)
	oaep, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, text, nil)
	must(err)
	decrypter := key.(crypto.Decrypter)
	for _, row := range []struct {
		sealed  []byte
		options crypto.DecrypterOpts
	}{
		{v15, &rsa.PKCS1v15DecryptOptions{}}, {oaep, &rsa.OAEPOptions{Hash: crypto.SHA256}},
	} {
		opened, err := decrypter.Decrypt(rand.Reader, row.sealed, row.options)
		if err != nil {
			return err
		}
		if !bytes.Equal(opened, text) {
			return errors.New("it decrypts to something else")
		}
	}
	return nil
}

func seals(context *crypto11.Context) error {
	key, err := context.GenerateSecretKey(aesID, 256, crypto11.CipherAES)
	if err != nil {
		return err
	}
	aead, err := key.NewGCM()
	if err != nil {
		return err
	}
	nonce, text := make([]byte, aead.NonceSize()), []byte("a secret")
	rand.Read(nonce)
	opened, err := aead.Open(nil, nonce, aead.Seal(nil, nonce, text, aesID), aesID)
	if err != nil {
		return err
	}
	if !bytes.Equal(opened, text) {
		return errors.New("it opens to something else")
	}
	return key.Delete()
}

// An authority's own certificate, kept beside its key.
func certifies(context *crypto11.Context, key crypto11.Signer) error {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true,
		Subject: pkix.Name{CommonName: "go"}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if err = certificate.CheckSignatureFrom(certificate); err != nil {
		return err
	}
	if err = context.ImportCertificateWithLabel(ecID, ecLabel, certificate); err != nil {
		return err
	}
	kept, err := context.FindCertificate(ecID, nil, nil)
	if err == nil && (kept == nil || !kept.Equal(certificate)) {
		err = errors.New("the certificate is not found again")
	}
	return err
}

func makeAll(module, pinFile string) {
	context := open(module, pinFile)
	_, err := context.GenerateRSAKeyPairWithLabel(rsaID, rsaLabel, 2048)
	must(err)
	_, err = context.GenerateECDSAKeyPairWithLabel(ecID, ecLabel, elliptic.P256())
	must(err)
	must(context.Close())

	context = open(module, pinFile)
	rsaKey, ecKey := find(context, rsaID, nil), find(context, nil, ecLabel)
	must(signs(rsaKey, crypto.SHA256))
	must(signs(rsaKey, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}))
	must(signs(ecKey, crypto.SHA256))
	must(decrypts(rsaKey))
	must(seals(context))
	must(certifies(context, ecKey))
	must(context.Close())
}

type counts struct {
	sync.Mutex
	done, failed int
	longest      time.Duration
}

func (all *counts) add(took time.Duration, err error) {
	all.Lock()
	defer all.Unlock()
	all.done++
	if took > all.longest {
		all.longest = took
	}
	if err != nil {
		all.failed++
		fmt.Fprintln(os.Stderr, err)
	}
}

func signAll(module, pinFile string) {
	var all counts
	var running sync.WaitGroup
	context := open(module, pinFile)
	keys := []crypto11.Signer{find(context, rsaID, nil), find(context, ecID, nil)}
	stop, signals := make(chan struct{}), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	for i := 0; i < goroutines; i++ {
		running.Add(1)
		go func(key crypto11.Signer) {
			defer running.Done()
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				begun := time.Now()
				err := signs(key, crypto.SHA256)
				all.add(time.Since(begun), err)
			}
		}(keys[i%len(keys)])
	}
	fmt.Println("signing")
	<-signals
	close(stop)
	running.Wait()
	fmt.Printf("%d signatures, %d failed, longest %d ms\n", all.done, all.failed,
		all.longest.Milliseconds())
	if all.done == 0 || all.failed > 0 {
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "make" {
		makeAll(os.Args[2], os.Args[3])
	} else if len(os.Args) == 4 && os.Args[1] == "sign" {
		signAll(os.Args[2], os.Args[3])
	} else {
		fmt.Fprintln(os.Stderr, "usage: signer make|sign MODULE PIN-FILE")
		os.Exit(2)
	}
}
