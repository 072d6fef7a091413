/* A known answer of every mechanism in the table, of NIST or an RFC where there is one. More of
 * them, and what OpenSSL says, stand in the tests of the families. */
#include "tests/unit/crypto_fixture.h"

#define ALL_USES (CKF_SIGN | CKF_ENCRYPT | CKF_WRAP | CKF_DERIVE | CKF_DIGEST)

#define CAVS_MODULUS                                                   \
    "a3ecf80ff1804833c36a89a1583f58ef3332476a50a153e73ced177961396360" \
    "45c131a6b17222ba8848f70150b18dfa390bfb1670ae982dfbc311fd0ede0555" \
    "64687af3805ca883944bb5ac9ec19b0e0cfbd9a314d70b17080c3d49b50cbf41" \
    "7062eb41bd639d67a5fb330ec55a0489fee08eeec97ed487c114b20393fe0aef"
#define CAVS_PSS_MODULUS                                               \
    "c87155f3d9f3771f6ab89ef30cd36230463902ff0633aa869b6dbd7592c83f4b" \
    "2f882739ff499f1499fb0db4586c7f7b2dfd5a37dbe0df37dea9d0d5814a4047" \
    "b647c1d8eb356ebae6a198899f97c25f9182fab2b6be88384a1b8cb16a82a05a" \
    "aadf610ce2e045b41b8880a13b7133ea07296126471c9a450ae48bc880102c8b"
#define CAVS_PSS_MESSAGE                                               \
    "1e0ffcab2f1d52641097cf6cb3b696eeed10b450d56ca5ad6dd5198684edf8b4" \
    "da84a3a186697db89580aa1af41516939070b9ccbbaa1ac2d2bf12761ce3d3e7" \
    "f61a283d2d03ff47acf42427574c4f4c360561a1d689eb04ecc7f0fa3c85eca1" \
    "b9f814e6ee92e0f79c1bc7fca503490228f73337eeb21f5d05163a79aa7b4acb"
#define OAEP_MODULUS                                                   \
    "ae45ed5601cec6b8cc05f803935c674ddbe0d75c4c09fd7951fc6b0caec313a8" \
    "df39970c518bffba5ed68f3f0d7f22a4029d413f1ae07e4ebe9e4177ce23e7f5" \
    "404b569e4ee1bdcf3c1fb03ef113802d4f855eb9b5134b5a7c8085adcae6fa2f" \
    "a1417ec3763be171b0c62b760ede23c12ad92b980884c641f5a8fac26bdad4a0" \
    "3381a22fe1b754885094c82506d4019a535a286afeb271bb9ba592de18dcf600" \
    "c2aeeae56e02f7cf79fc14cf3bdc7cd84febbbf950ca90304b2219a7aa063aef" \
    "a2c3c1980e560cd64afe779585b6107657b957857efde6010988ab7de417fc88" \
    "d8f384c4e6e72c3f943e0c31c0c4a5cc36f879d8a3ac9d7d59860eaada6b83bb"
#define OAEP_EXPONENT                                                  \
    "056b04216fe5f354ac77250a4b6b0c8525a85c59b0bd80c56450a22d5f438e59" \
    "6a333aa875e291dd43f48cb88b9d5fc0d499f9fcd1c397f9afc070cd9e398c8d" \
    "19e61db7c7410a6b2675dfbf5d345b804d201add502d5ce2dfcb091ce9997bbe" \
    "be57306f383e4d588103f036f7e85d1934d152a323e4a8db451d6f4a5b1b0f10" \
    "2cc150e02feee2b88dea4ad4c1baccb24d84072d14e1d24a6771f7408ee30564" \
    "fb86d4393a34bcf0b788501d193303f13a2284b001f0f649eaf79328d4ac5c43" \
    "0ab4414920a9460ed1b7bc40ec653e876d09abc509ae45b525190116a0c26101" \
    "848298509c1c3bf3a483e7274054e15e97075036e989f60932807b5257751e79"
#define OAEP_ENCODED                                                   \
    "009aeff546462e50bfec1dc191d5d0ce459069756f33635ad62317ffa3981d2b" \
    "674ed6e83547e479ca90cef1eb74cba8f36004f73b477b159b4fe4f3b5bda05e" \
    "51d7c8c674c2b9bd2060c9574e661311f4ad7ffc4c0373f1d987505de434a32d" \
    "b898b0d167d188eb9645219d5222eb107a7faae431705e1a3dc8f47cd936b96a" \
    "02d951e997199635e49b523fd01e1d4c00cbd551f395202f771007505e1dd48b" \
    "7b04a82b892fe728e190b71e6d4128571c9bed19c06123db3eea1a4ec645419f" \
    "c879b98f82b6563b7a2c6280db9b0434a756502306e0b244459dd012ca7198a6" \
    "300058121e70917b49f6402ee738a6c60bfebd3cd130cdfb11392ab73da9a8ca"
#define OAEP_ENCRYPTED                                                 \
    "53ea5dc08cd260fb3b858567287fa91552c30b2febfba213f0ae87702d068d19" \
    "bab07fe574523dfb42139d68c3c5afeee0bfe4cb7969cbf382b804d6e6139614" \
    "4e2d0e60741f8993c3014b58b9b1957a8babcd23af854f4c356fb1662aa72bfc" \
    "c7e586559dc4280d160c126785a723ebeebeff71f11594440aaef87d10793a87" \
    "74a239d4a04c87fe1467b9daf85208ec6c7255794a96cc29142f9a8bd418e3c1" \
    "fd67344b0cd0829df3b2bec60253196293c6b34d3f75d32f213dd45c6273d505" \
    "adf4cced1057cb758fc26aeefa441255ed4e64c199ee075e7f16646182fdb464" \
    "739b68ab5daff0e63e9552016824f054bf4d3c8c90a97bb6b6553284eb429fcc"
#define P256_VALUE "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"

struct answer {
    CK_MECHANISM_TYPE type;
    CK_FLAGS uses;     /* with their counterparts: CKF_SIGN is verifying too */
    const char *key;   /* the modulus, a private value, a secret */
    const char *extra; /* the private exponent of RSA, a curve, additional data of GCM */
    const char *iv, *data, *result;
    CK_MECHANISM_TYPE hash; /* of mechanisms that name one beside */
    bool one_way;           /* making is random, or not for so small a key: check the result */
};

static const struct answer answers[] = {
    /* NIST CAVS 10.1, SigGen PKCS#1 v1.5, 1024 bits. */
    {CKM_RSA_PKCS, CKF_SIGN, CAVS_MODULUS, "", "",
     "3031300d060960864801650304020105000420de9187482aedcb60d01d0751be"
     "d52f5d729c2523e2e406af6b5556c1a77dfa9a",
     "8d9d30a87df0c2f6cd651fcaf2b9ac1296287ad3d4b03132e330f08ab701fc19"
     "7040d0a261f631e7e34478b592551e1f682395c9e2b54c8ce8b0c72c1b5a7974"
     "8cc34f9152730a7f67fae1225a4ce750f1d5d4e288176df197e7503c88b5baec"
     "ef3abcf2875f111e6d7f7b4dc8afa2ed3c1d7ad8e7cf45a77f0b1cb178518402",
     0, true},
    {CKM_SHA1_RSA_PKCS, CKF_SIGN, CAVS_MODULUS, "", "",
     "1018469fda81f41922cfdb2dca679f7f3a286f11ba448ab71e4e02cca994c024"
     "2caec9416e57c0cad07cab383193fad3102ec5ddf0d0550d01ffe63ffc9aab69"
     "4f6d13d17a034b7db9bb04ebe31e76039270a44a8485e25841d7958cfed53bfe"
     "c27dabb5c72c9d1b23b56cada7b11bf7081797c03c0d3b8227fd991d77ea78cb",
     "147a8797d9d653f52d210135f61bbdfe59698d755b076230f2b252e7792c8612"
     "1469fab7b410789df4f193a76e8be99a2162e422c6a56106fa4e2fe5abafc542"
     "ff1a899d8580f9f6b4cd29a8310cd34964ce22bbad9618d97e4c36695b246bdd"
     "0c0d5d0c75d044265e6f275a272718b0c2b93974dc76ddcca985bef994ce67bd",
     0, true},
    {CKM_SHA224_RSA_PKCS, CKF_SIGN, CAVS_MODULUS, "", "",
     "ee957a3107024f9a51d212fc6ff18d46a26a2d80df2cb6b1250f36010d12381b"
     "a3e639d574b16013e80c69e8d24de3ff460c9b3aabe05898106ac85cc495bb6c"
     "201b8ff7a84ceb5a530bb14526192d1907969395d1c4a8b2a40fbfcb7f4ae701"
     "103c63deca5b5a3939d7d05992dad55d8f0ffcda79610fc78605019666ba24a4",
     "10fafcf4b543c9d58c1658a9d96e2d3ba1276406951b2d2ea5a7930fa18a88f8"
     "8a0ebdc53038c0277f7f00e699b5aa4977b25d42edacf3ed6eba656c177bbba6"
     "22b710e5bd78de381f626e38b5d49fa06fd5e0e9acb5fc67ae86107313575be7"
     "5bb4535864b57adef917dae1f04b0ed4bd02ee81cc3f0caa9b7a9a9d940d9372",
     0, true},
    {CKM_SHA256_RSA_PKCS, CKF_SIGN, CAVS_MODULUS, "", "",
     "dfce08b64b9ea4014947012670548da4ceeee084dbfe509aac92bf096982b805"
     "0153bbdd1c5bd4385226729e9a19773b05558ce0acdfb74be6fd2fa8bfe36f58"
     "a68e89f066f1bd85584f4a27d6e884abf2d727ae683bebd6d295585b1b71dcc6"
     "36491bf910a68670c3882fc60c08db7bff3c59f4f95b13c3d721e329657528d9",
     "8d9d30a87df0c2f6cd651fcaf2b9ac1296287ad3d4b03132e330f08ab701fc19"
     "7040d0a261f631e7e34478b592551e1f682395c9e2b54c8ce8b0c72c1b5a7974"
     "8cc34f9152730a7f67fae1225a4ce750f1d5d4e288176df197e7503c88b5baec"
     "ef3abcf2875f111e6d7f7b4dc8afa2ed3c1d7ad8e7cf45a77f0b1cb178518402",
     0, true},
    {CKM_SHA384_RSA_PKCS, CKF_SIGN, CAVS_MODULUS, "", "",
     "7df04664188787d471ba72c1df14bb2348711dd5e6b241ee4bb5e24ea3852f77"
     "3acd709f3e93ed03c5220b7d1148b95913c20a652ff523473fdf5813da4c921d"
     "d64df40c0be6be305a077116efbd3459c2aa76ba64b3d573f8f83ec97f0956e1"
     "5a5719d409e8c105394feab3fedcf3ca5d10a7ff0d531d1b7ee9dc971b23436a",
     "6a764d08b2dc31b15c278895712a835e7287a75388fe4dd254bf74339761ea5d"
     "182cb30ced4919f9adb34d6b531bead1c7370e4bfa045fd653ce922112766378"
     "b2dda1c2e9c353a0ea67cb3f3e5142e01a0604f2f16494b4c45ae3e1df670d5f"
     "26a2776936a2ead8707866d3bc7f886eb470728a56544498a9a35cc3b0bd871f",
     0, true},
    {CKM_SHA512_RSA_PKCS, CKF_SIGN, CAVS_MODULUS, "", "",
     "5965e6260d93c689171889897df8f369c3b454cb541c09232465456b947b1219"
     "9698924e11168b508782223af5f1e7f2fa97125c3c950ccd081332c3388fd5d3"
     "5a7485e20eef8f98b0fec41237ca7cd75d36db0e01b853eec9686a750b56be5d"
     "ee21464cccc5da4bdbb5f6790d2abb0034ba36496a2ce56cb08b77ebd579d49f",
     "6ef6fcc4c0cd998eb9681e8e6764f7a3e27f8c939a4c39580df9982f374605c1"
     "1c1f30f5c1c6d71623509881dabdfab1c1be04060134824d3ee3885ab81f1b0f"
     "0e86d05a7332e655edafb42af2de3bec08ed25a9a78ac02f2cddee8188f331b1"
     "2a1efc5e51db376ec74c0f1711744c5f9c79fc758a6be220885030659c8b86f9",
     0, true},
    /* The same of PSS, without a salt. */
    {CKM_RSA_PKCS_PSS, CKF_SIGN, CAVS_PSS_MODULUS, "", "",
     "4350884779171862946308d9bbfd055572b68cf939f9d9bd2e11de50508b868a",
     "1a0a52b98714806ef7499c9dbbe51738aa4d38a3ea434c6a1742a46a7620e2ec"
     "9353349caa23834fbd634a824d4700a610e00aa5bf87b1df7b2900d7e4e07454"
     "a30f1fe744ceb757b8f92cf055d226e84d5e633f589e53b0373ee80a59eada4b"
     "7259f5182dc591427345232ebcaf4ddbd4f9dc90313415e96cf53c59c16281fe",
     CKM_SHA256, true},
    {CKM_SHA1_RSA_PKCS_PSS, CKF_SIGN, CAVS_PSS_MODULUS, "", "", CAVS_PSS_MESSAGE,
     "449f9625e7246f9e4b2e30692e04dbe11e318b49a6e7a9dc10f7ae61560c0284"
     "f43de605afe4ed661d09c08b39af1f8268c809e5082f0592390689b746b7dc29"
     "3d533835c974dc16fa44f30c67830a31789ae9b387d3a0bc448df68d8f13868a"
     "1f65372b190dd319105a715932cd61782b1b32a1e0dd54d91a4b38b64255997c",
     0, true},
    {CKM_SHA224_RSA_PKCS_PSS, CKF_SIGN, CAVS_PSS_MODULUS, "", "", CAVS_PSS_MESSAGE,
     "8945891f559b71f7859bf2d6c838c623115906a8182a6c00f1cb9af40e937527"
     "d9792e8f2c0070c341ea47268a3f38373f650a07dadde5a3a196663357954d70"
     "da7865e70f7eeae428bc6bcdb590d260610c8e5b54a2ca1dd0e4ca8d4978c4d3"
     "8b2a10f4a349f186492c6f7f8aededb81df5e1b3abcce7bf3ad2b0f52033ae57",
     0, true},
    {CKM_SHA256_RSA_PKCS_PSS, CKF_SIGN, CAVS_PSS_MODULUS, "", "", CAVS_PSS_MESSAGE,
     "1a0a52b98714806ef7499c9dbbe51738aa4d38a3ea434c6a1742a46a7620e2ec"
     "9353349caa23834fbd634a824d4700a610e00aa5bf87b1df7b2900d7e4e07454"
     "a30f1fe744ceb757b8f92cf055d226e84d5e633f589e53b0373ee80a59eada4b"
     "7259f5182dc591427345232ebcaf4ddbd4f9dc90313415e96cf53c59c16281fe",
     0, true},
    {CKM_SHA384_RSA_PKCS_PSS, CKF_SIGN, CAVS_PSS_MODULUS, "", "", CAVS_PSS_MESSAGE,
     "9603d25d06fdc6d1a361b8c2407ca764a6f5ddd1e94f19b7ee43be6d6ba9959b"
     "f6cc957da4ddc86257be65127da92ef6d625643ace512eb1f865fd2bede666e2"
     "3962b92a4ec6d443f24967a15bf37fbc7c064b6b14246948ca3c9a942369f5b1"
     "1eedd0d6bd672ee3e7057143498ec58340c745c5e41156d27af087123f4a6638",
     0, true},
    {CKM_SHA512_RSA_PKCS_PSS, CKF_SIGN, CAVS_PSS_MODULUS, "", "", CAVS_PSS_MESSAGE,
     "3013a7083477fde35232317be59355ea3e33b2ddd6530806ee2b71213490fff7"
     "fb1ebee0fa5533281207683be68abfbf270afb8cea52cd505f3654a9ae460a75"
     "51587c77604fd25bcc12a4443baa532caf6fae066fb3a5fa61aa1d88c6e5de6b"
     "f7a0176b0543fb5728906a2c0e24dc4af8e8be4da46db38c40df1a524f6d81d3",
     0, true},
    /* RSA Laboratories' OAEP example 10.1, and its encoded message for raw RSA. */
    {CKM_RSA_PKCS_OAEP, CKF_ENCRYPT | CKF_WRAP, OAEP_MODULUS, OAEP_EXPONENT, "",
     "8bba6bf82a6c0f86d5f1756e97956870b08953b06b4eb205bc1694ee", OAEP_ENCRYPTED, CKM_SHA_1, true},
    {CKM_RSA_X_509, CKF_ENCRYPT, OAEP_MODULUS, OAEP_EXPONENT, "", OAEP_ENCODED, OAEP_ENCRYPTED, 0,
     false},
    {CKM_RSA_X_509, CKF_SIGN, OAEP_MODULUS, OAEP_EXPONENT, "", OAEP_ENCRYPTED, OAEP_ENCODED, 0,
     false},
    /* RFC 8017, 7.2.1, with 1, 2, 3 ... as padding, calculated with another program. */
    {CKM_RSA_PKCS, CKF_ENCRYPT | CKF_WRAP, OAEP_MODULUS, OAEP_EXPONENT, "",
     "e6ad181f053b58a904f2457510373e57",
     "29b07c3d8274a5403aba947efa1e325d7a47c75be33075978759851dd226ff7b"
     "9388f1503ccea3937afdb73c5301f662a3d37c5e6c132032a964cd3b735369a5"
     "1baf59aadef1aa65a9a2c85cb7488eeab10005e9744442fb1dbb3f0676024746"
     "0e54102195463ec6b12edd6686775ae025071026c60a453a27c944481a075b4d"
     "e573eedda9bb20f38d231da6f9daf1f04700e18034a45ea1a726964ea8ea951e"
     "efa79ef6d255a26b2242d0f5f2e1d4da9ba533836254a4dd2fff00cf3d077894"
     "807ce90ddeb2ffda2beb649182196335e9048c4612c6fcb77ceb9da238e5b944"
     "46579e742f0e0da17446775dd2923d49fb5fd0827ef16782ced4f46dfc9a625e",
     0, true},
    /* OAEP example 10.2, whose message is the AES key that then wraps RFC 5649's seven bytes. */
    {CKM_RSA_AES_KEY_WRAP, CKF_WRAP, OAEP_MODULUS, OAEP_EXPONENT, "", "466f7250617369",
     "a2b1a430a9d657e2fa1c2bb5ed43ffb25c05a308fe9093c01031795f58744001"
     "10828ae58fb9b581ce9dddd3e549ae04a0985459bde6c626594e7b05dc4278b2"
     "a1465c1368408823c85e96dc66c3a30983c639664fc4569a37fe21e5a195b577"
     "6eed2df8d8d361af686e750229bbd663f161868a50615e0c337bec0ca35fec0b"
     "b19c36eb2e0bbcc0582fa1d93aacdb061063f59f2ce1ee43605e5d89eca183d2"
     "acdfe9f81011022ad3b43a3dd417dac94b4e11ea81b192966e966b182082e719"
     "64607b4f8002f36299844a11f2ae0faeac2eae70f8f4f98088acdcd0ac556e9f"
     "ccc511521908fad26f04c64201450305778758b0538bf8b5bb144a828e629795"
     "116ee44b93bc4a650a08367490d31bb0",
     CKM_SHA_1, true},
    /* RFC 6979, A.2.5. */
    {CKM_ECDSA, CKF_SIGN, P256_VALUE, OID_P256, "",
     "af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf",
     "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
     "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
     0, true},
    {CKM_ECDSA_SHA1, CKF_SIGN, P256_VALUE, OID_P256, "", "73616d706c65",
     "61340c88c3aaebeb4f6d667f672ca9759a6ccaa9fa8811313039ee4a35471d32"
     "6d7f147dac089441bb2e2fe8f7a3fa264b9c475098fdcf6e00d7c996e1b8b7eb",
     0, true},
    {CKM_ECDSA_SHA224, CKF_SIGN, P256_VALUE, OID_P256, "", "73616d706c65",
     "53b2fff5d1752b2c689df257c04c40a587fababb3f6fc2702f1343af7ca9aa3f"
     "b9afb64fdc03dc1a131c7d2386d11e349f070aa432a4acc918bea988bf75c74c",
     0, true},
    {CKM_ECDSA_SHA256, CKF_SIGN, P256_VALUE, OID_P256, "", "73616d706c65",
     "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
     "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
     0, true},
    {CKM_ECDSA_SHA384, CKF_SIGN, P256_VALUE, OID_P256, "", "73616d706c65",
     "0eafea039b20e9b42309fb1d89e213057cbf973dc0cfc8f129edddc800ef7719"
     "4861f0491e6998b9455193e34e7b0d284ddd7149a74b95b9261f13abde940954",
     0, true},
    {CKM_ECDSA_SHA512, CKF_SIGN, P256_VALUE, OID_P256, "", "73616d706c65",
     "8496a60b5e9b47c825488827e0495b0e3fa109ec4568fd3f8d1097678eb97f00"
     "2362ab1adbe2b8adf9cb9edab740ea6049c028114f2460f96554f61fae3302fe",
     0, true},
    /* RFC 8032, 7.1. */
    {CKM_EDDSA, CKF_SIGN, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     OID_ED25519, "", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
     0, false},
    /* CAVS, ECC CDH primitive. RFC 7748, 6.1. */
    {CKM_ECDH1_DERIVE, CKF_DERIVE,
     "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534", OID_P256, "",
     "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d2"
     "87db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4"
     "ac",
     "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b", 0, false},
    {CKM_ECDH1_COFACTOR_DERIVE, CKF_DERIVE,
     "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534", OID_P256, "",
     "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d2"
     "87db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4"
     "ac",
     "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b", 0, false},
    {CKM_ECDH1_DERIVE, CKF_DERIVE,
     "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", OID_X25519, "",
     "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", 0, false},
    /* RFC 5869, A.1: the salt stands for the IV, what it is for is the data. */
    {CKM_HKDF_DERIVE, CKF_DERIVE, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "",
     "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
     "34007208d5b887185865",
     CKM_SHA256, false},
    /* FIPS 180. */
    {CKM_SHA_1, CKF_DIGEST, "", "", "", "616263", "a9993e364706816aba3e25717850c26c9cd0d89d", 0,
     false},
    {CKM_SHA224, CKF_DIGEST, "", "", "", "616263",
     "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7", 0, false},
    {CKM_SHA256, CKF_DIGEST, "", "", "", "616263",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 0, false},
    {CKM_SHA384, CKF_DIGEST, "", "", "", "616263",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
     "8086072ba1e7cc2358baeca134c825a7",
     0, false},
    {CKM_SHA512, CKF_DIGEST, "", "", "", "616263",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     0, false},
    /* RFC 2202 and RFC 4231, 4.2. */
    {CKM_SHA_1_HMAC, CKF_SIGN, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "4869205468657265", "b617318655057264e28bc0b6fb378c8ef146be00", 0, false},
    {CKM_SHA224_HMAC, CKF_SIGN, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "4869205468657265", "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22", 0, false},
    {CKM_SHA256_HMAC, CKF_SIGN, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", 0,
     false},
    {CKM_SHA384_HMAC, CKF_SIGN, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "4869205468657265",
     "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
     "faea9ea9076ede7f4af152e8b2fa9cb6",
     0, false},
    {CKM_SHA512_HMAC, CKF_SIGN, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "4869205468657265",
     "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
     "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
     0, false},
    /* NIST SP 800-38A, F, SP 800-38B, D.1, and SP 800-38D's case 16. */
    {CKM_AES_ECB, CKF_ENCRYPT, "2b7e151628aed2a6abf7158809cf4f3c", "", "",
     "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
     "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf", 0, false},
    {CKM_AES_CBC, CKF_ENCRYPT | CKF_WRAP, "2b7e151628aed2a6abf7158809cf4f3c", "",
     "000102030405060708090a0b0c0d0e0f",
     "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
     "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2", 0, false},
    {CKM_AES_CTR, CKF_ENCRYPT, "2b7e151628aed2a6abf7158809cf4f3c", "",
     "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
     "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff", 0, false},
    {CKM_AES_CMAC, CKF_SIGN, "2b7e151628aed2a6abf7158809cf4f3c", "", "",
     "6bc1bee22e409f96e93d7e117393172a", "070a16b46b4d4144f79bdd9dd04a287c", 0, false},
    {CKM_AES_GCM, CKF_ENCRYPT | CKF_WRAP,
     "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece"
     "0f4e1768cddf8853bb2d551b",
     0, false},
    /* The first block of F.2.1, and padding behind it, which another program encrypted. */
    {CKM_AES_CBC_PAD, CKF_ENCRYPT | CKF_WRAP, "2b7e151628aed2a6abf7158809cf4f3c", "",
     "000102030405060708090a0b0c0d0e0f", "6bc1bee22e409f96e93d7e117393172a",
     "7649abac8119b246cee98e9b12e9197d8964e0b149c10b7b682e6e39aaeb731c", 0, false},
    /* RFC 3394, 4.1, and RFC 5649, 6. */
    {CKM_AES_KEY_WRAP, CKF_ENCRYPT | CKF_WRAP, "000102030405060708090a0b0c0d0e0f", "", "",
     "00112233445566778899aabbccddeeff", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5", 0,
     false},
    {CKM_AES_KEY_WRAP_PAD, CKF_ENCRYPT | CKF_WRAP,
     "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "", "",
     "c37b7e6492584340bed12207808941155068f738",
     "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a", 0, false},
    {CKM_AES_KEY_WRAP_KWP, CKF_ENCRYPT | CKF_WRAP,
     "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "", "",
     "c37b7e6492584340bed12207808941155068f738",
     "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a", 0, false},
};
#define ANSWERS (sizeof answers / sizeof answers[0])

static struct mech_params params_of(const struct answer *answer)
{
    const struct mech_info *info = mech_find(answer->type);
    struct mech_params params = {.type = answer->type, .hash = answer->hash, .iv = hex(answer->iv)};

    if (info->digest != CK_UNAVAILABLE_INFORMATION) {
        params.hash = info->digest;
    }
    params.mgf = params.hash == CKM_SHA_1    ? CKG_MGF1_SHA1
                 : params.hash == CKM_SHA224 ? CKG_MGF1_SHA224
                 : params.hash == CKM_SHA256 ? CKG_MGF1_SHA256
                 : params.hash == CKM_SHA384 ? CKG_MGF1_SHA384
                                             : CKG_MGF1_SHA512;
    params.kdf = CKD_NULL;
    params.tag_bits = params.key_bits = 128;
    params.public_data = params.info = hex(answer->data);
    params.extract = params.expand = true;
    params.salt = params.iv;
    params.aad = hex(info->key_type == CKK_AES ? answer->extra : "");
    return params;
}

static CK_KEY_TYPE type_of(const struct answer *answer)
{
    bool montgomery = strcmp(answer->extra, OID_X25519) == 0;

    return montgomery ? CKK_EC_MONTGOMERY : mech_find(answer->type)->key_type;
}

/* RSA keys without a private exponent are public ones, with the exponent that CAVS uses. */
static struct key *open_rsa(const struct answer *answer)
{
    struct key_rsa_parts parts = {
        .n = hex(answer->key), .e = hex("010001"), .d = hex(answer->extra)};
    struct key_public public;
    struct secret *private;
    struct key *key;

    if (parts.d.size == 0) {
        assert_ok(key_import_rsa_public(parts.n, hex("1001"), &public));
        assert_ok(key_open(CKO_PUBLIC_KEY, CKK_RSA, public.spki, &key));
    } else {
        assert_ok(key_import_rsa_private(&parts, &private, &public));
        assert_ok(key_open(CKO_PRIVATE_KEY, CKK_RSA, view(private), &key));
        secret_free(private);
    }
    free(public.block);
    return key;
}

/* NULL for digests. */
static struct key *open_key(const struct answer *answer)
{
    CK_KEY_TYPE type = type_of(answer);
    struct key_public public;
    struct secret *private;
    struct key *key;

    assert_ok(secret_setup());
    if (type == CK_UNAVAILABLE_INFORMATION) {
        return NULL;
    }
    if (type == CKK_RSA) {
        return open_rsa(answer);
    }
    if (type == CKK_AES || type == CKK_GENERIC_SECRET) {
        return secret_key(type, hex(answer->key));
    }
    assert_ok(key_import_ec_private(type, hex(answer->extra), hex(answer->key), &private, &public));
    assert_ok(key_open(CKO_PRIVATE_KEY, type, view(private), &key));
    secret_free(private);
    free(public.block);
    return key;
}

static void check_signing(struct key *key, const struct answer *answer)
{
    struct bytes data = hex(answer->data), result = hex(answer->result);
    struct mech_params params = params_of(answer);
    uint8_t out[FIXTURE_ROOM];
    size_t size;

    if (!answer->one_way) {
        assert_ok(mech_sign(key, &params, data, out, sizeof out, &size));
        assert_bytes(whole(out, size), result);
    }
    assert_ok(mech_verify(key, &params, data, result));
}

static void check_encrypting(struct key *key, const struct answer *answer)
{
    struct bytes data = hex(answer->data), result = hex(answer->result);
    struct mech_params params = params_of(answer);
    uint8_t out[FIXTURE_ROOM];
    size_t size;

    if (!answer->one_way) {
        assert_ok(mech_encrypt(key, &params, data, out, sizeof out, &size));
        assert_bytes(whole(out, size), result);
    }
    assert_ok(mech_decrypt(key, &params, result, out, sizeof out, &size));
    assert_bytes(whole(out, size), data);
}

static void check_wrapping(struct key *key, const struct answer *answer)
{
    struct bytes data = hex(answer->data), result = hex(answer->result);
    struct mech_params params = params_of(answer);
    uint8_t out[FIXTURE_ROOM];
    struct secret *plain;
    size_t size;

    if (!answer->one_way) {
        assert_ok(mech_wrap(key, &params, data, out, sizeof out, &size));
        assert_bytes(whole(out, size), result);
    }
    assert_ok(mech_unwrap(key, &params, result, &plain));
    assert_bytes(view(plain), data);
    secret_free(plain);
}

static void check_deriving(struct key *key, const struct answer *answer)
{
    struct mech_params params = params_of(answer);
    struct bytes result = hex(answer->result);
    struct secret *value;

    assert_ok(mech_derive(key, &params, result.size, &value));
    assert_bytes(view(value), result);
    secret_free(value);
}

static void check_digest(const struct answer *answer)
{
    uint8_t hash[MECH_DIGEST_SIZE_MAX];
    struct mech_digest *digest;
    size_t size;

    assert_ok(mech_digest_new(answer->type, &digest));
    assert_ok(mech_digest_update(digest, hex(answer->data)));
    assert_ok(mech_digest_final(digest, hash, &size));
    assert_bytes(whole(hash, size), hex(answer->result));
    mech_digest_free(digest);
}

START_TEST(known_answers_come_out)
{
    const struct answer *answer = &answers[_i];
    struct key *key = open_key(answer);

    if ((answer->uses & CKF_SIGN) != 0) {
        check_signing(key, answer);
    }
    if ((answer->uses & CKF_ENCRYPT) != 0) {
        check_encrypting(key, answer);
    }
    if ((answer->uses & CKF_WRAP) != 0) {
        check_wrapping(key, answer);
    }
    if ((answer->uses & CKF_DERIVE) != 0) {
        check_deriving(key, answer);
    }
    if ((answer->uses & CKF_DIGEST) != 0) {
        check_digest(answer);
    }
    key_free(key);
}
END_TEST

/* But making keys, which is random. */
START_TEST(every_use_of_every_mechanism_has_a_known_answer)
{
    unsigned count;
    const struct mech_info *table = mech_table(&count);

    for (unsigned i = 0; i < count; i++) {
        CK_FLAGS covered = 0;

        for (size_t j = 0; j < ANSWERS; j++) {
            covered |= answers[j].type == table[i].type ? answers[j].uses : 0;
        }
        ck_assert_msg(covered == (table[i].flags & ALL_USES), "mechanism 0x%lx: 0x%lx of 0x%lx",
                      table[i].type, covered, table[i].flags & ALL_USES);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mech_known");
    TCase *tests = tcase_create("mech_known");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, known_answers_come_out, 0, (int)ANSWERS);
    tcase_add_test(tests, every_use_of_every_mechanism_has_a_known_answer);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
