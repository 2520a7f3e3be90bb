"""Certificates for tests, made by openssl(1)."""

import os
import subprocess


class Authority:
    """A folder with an authority's certificate and key, which signs others."""

    def __init__(self, folder, name="authority"):
        self.folder, self.name = folder, name
        os.makedirs(folder, exist_ok=True)
        self.certificate = f"{folder}/ca.pem"
        self.key = f"{folder}/ca-key.pem"
        self.run("req", "-x509", *self.new_key(self.key), "-subj", f"/CN={name}", "-days", "2",
                 "-out", self.certificate)

    @staticmethod
    def run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    @staticmethod
    def new_key(path):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path)

    def sign(self, name, usage, names=None, expired=False):
        """A folder as DOCKER_CERT_PATH names one: ca.pem, cert.pem and key.pem."""
        folder = f"{self.folder}/{name}"
        os.makedirs(folder)
        self.run("req", *self.new_key(f"{folder}/key.pem"), "-subj", f"/CN={name}", "-out", f"{folder}/request.pem")
        with open(f"{folder}/extensions", "w") as file:
            file.write(f"extendedKeyUsage={usage}\n" + (f"subjectAltName={names}\n" if names else ""))
        # A moment that has passed: openssl x509 takes no dates, but a negative number of days.
        self.run("x509", "-req", "-in", f"{folder}/request.pem", "-CA", self.certificate, "-CAkey", self.key,
                 "-CAcreateserial", "-extfile", f"{folder}/extensions", "-days", "-1" if expired else "1",
                 "-out", f"{folder}/cert.pem")
        with open(self.certificate) as source, open(f"{folder}/ca.pem", "w") as file:
            file.write(source.read())
        return folder
